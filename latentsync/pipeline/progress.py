"""The interface of progress reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Shows how far a pass has come."""

    def __call__(self, title: str, total: int, /) -> AbstractContextManager[Callable[[], None]]:
        """A pass over ``total`` frames (0: unknown); the yielded function is called after each."""
        ...


@contextmanager
def no_progress(_title: str, _total: int) -> Iterator[Callable[[], None]]:
    """Progress that is not shown."""
    yield lambda: None
