"""Who goes first: what somebody waits for, then the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """Long work stops at its next frame while something quick runs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._first, self._ended = 0, False

    @contextmanager
    def first(self) -> Iterator[None]:
        """Meanwhile long work waits."""
        with self._changed:
            self._first += 1
        try:
            yield
        finally:
            with self._changed:
                self._first -= 1
                self._changed.notify_all()

    def let_go(self) -> None:
        """Long work calls it at each frame: it waits while something goes first."""
        if self._first:
            with self._changed:
                self._changed.wait_for(lambda: not self._first or self._ended)

    def end(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
