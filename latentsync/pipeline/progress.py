"""How whoever waits is told how far the work has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Shown to whoever waits."""

    def __call__(self, title: str, total: int, /) -> AbstractContextManager[Callable[[], None]]:
        """A pass over ``total`` frames (0: not known); what it gives is called after each frame."""
        ...


@contextmanager
def no_progress(_title: str, _total: int) -> Iterator[Callable[[], None]]:
    """Progress that is not shown."""
    yield lambda: None
