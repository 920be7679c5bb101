"""A worker's tasks in which no video is made."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from latentsync.jobs.rows import Task
from latentsync.jobs.shown import Shown
from latentsync.settings.schema import Config


class Work:
    """In place of videos: before each task `meanwhile` is called with its kind and number."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.short: list[bool] = []  # of each time that a job was opened
        self.released = self.cancelled = 0
        self.meanwhile: Callable[[str, int], None] = lambda _kind, _number: None

    def release_memory(self) -> None:
        self.released += 1

    def open(self, task: Task) -> SimpleNamespace:
        self.short.append(task.short)
        return SimpleNamespace(
            id=task.job.id,
            plan=lambda shown: self._do("plan", 0, shown) or [5, 5],
            make=lambda number, shown: self._do("segment", number, shown) is None,
            render=lambda shown: self._do("join", 0, shown),
            cancel=self._cancel,
            close=lambda: None,
        )

    def _cancel(self) -> None:
        self.cancelled += 1

    def judge(self, _config: Config, shown: Shown) -> None:
        self._do("judge", 0, shown)

    def _do(self, kind: str, number: int, shown: Shown) -> None:
        with shown(f"doing a {kind}", 5) as step:
            step()
            self.meanwhile(kind, number)
            step()
        self.done.append((kind, number))
