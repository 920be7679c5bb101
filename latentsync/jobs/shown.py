"""How far a worker is with its task, for those who look at the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PREPARING, JUDGING = "preparing", "judging"
"""Stages, in words, beside those that pipeline and session name themselves."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is done just now. done, total: frames; total 0: not known."""

    title: str = PREPARING
    total: int = 0
    done: int = 0


class Shown:
    """A pipeline.progress.Progress whose stage any thread may look at.

    at_frame: called at each frame; it may wait, and may raise.
    """

    def __init__(self, at_frame: Callable[[], None] = lambda: None) -> None:
        self.stage, self._at_frame = Stage(), at_frame

    @contextmanager
    def __call__(self, title: str, total: int, /) -> Iterator[Callable[[], None]]:
        self.stage = Stage(title, total)
        yield self._step

    def _step(self) -> None:
        now = self.stage
        self.stage = Stage(now.title, now.total, now.done + 1)
        self._at_frame()
