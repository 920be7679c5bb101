"""Work that somebody waits for: what is asked, how far it is, and its result for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from latentsync.errors import Cancelled
from latentsync.server.engine import Engine
from latentsync.server.errors import ApiError, not_found
from latentsync.server.files.folders import ServerFiles, remove
from latentsync.server.quick.task_results import Url, error_view
from latentsync.server.views import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    ErrorView,
    TaskView,
)
from latentsync.server.work.messages import ESTIMATE, PREVIEW

KEPT_SECONDS = 3600.0
"""That the result of a task is kept."""
MOST_KEPT = 300
MOST_WAITING = 20
"""Unfinished tasks of one user."""
_RETRY = 5  # seconds after which a task may have ended

SUPERSEDED = (PREVIEW, ESTIMATE)
"""Kinds of which a user waits for the newest only."""
Shape = Callable[[dict[str, Any], Url], Any]
"""What the engine answers -> the result of the task."""


@dataclass(slots=True, eq=False)
class _Task:
    """ended: by the monotonic clock; None: not yet."""

    id: str
    user: str
    kind: str
    future: Future[dict[str, Any]] | None = None
    state: str = QUEUED
    progress: float = 0.0
    stage: str | None = None
    error: ErrorView | None = None
    result: Any = None
    ended: float | None = None

    def view(self) -> TaskView:
        return TaskView(
            *(self.id, self.kind, self.state, round(self.progress, 1), self.stage),
            *(self.error, self.result),
        )


class QuickWork:
    """From any thread. clock: seconds, for how long results are kept."""

    def __init__(
        self, files: ServerFiles, engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._files, self._engine, self._clock = files, engine, clock
        self._lock, self._tasks = threading.Lock(), dict[str, _Task]()

    def start(
        self, user: str, kind: str, arguments: dict[str, Any], shape: Shape, task_id: str
    ) -> TaskView:
        """task_id: a new one. A preview or an estimate ends the user's older ones of its kind:
        nobody looks at them any more.

        Raises ApiError (429) where too many of the user's are not finished.
        """
        task = _Task(task_id, user, kind)
        self._make_room(user, superseded=kind if kind in SUPERSEDED else None)
        with self._lock:
            self._tasks[task.id] = task
        folder = self._files.task(user, task.id)
        task.future = self._engine.submit(
            kind, arguments, folder, lambda share, stage: self._reached(task, share, stage)
        )
        task.future.add_done_callback(lambda future: self._ended(task, future, shape))
        return task.view()

    def task(self, user: str, task_id: str) -> TaskView:
        return self._found(user, task_id).view()

    async def finished(self, user: str, task_id: str, wait: float) -> TaskView:
        """As it is after at most that many seconds."""
        task = self._found(user, task_id)
        if task.future is not None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()

            def tell(_future: Future[dict[str, Any]]) -> None:
                with suppress(RuntimeError):  # the loop has ended meanwhile
                    loop.call_soon_threadsafe(ended.set)

            task.future.add_done_callback(tell)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await ended.wait()
        return task.view()

    def file(self, user: str, task_id: str, name: str) -> Path:
        """Raises ApiError (404) for anything that is not in the task's folder."""
        folder = self._files.task(user, self._found(user, task_id).id)
        with suppress(OSError):
            for path in folder.iterdir():
                if path.name == name and path.is_file() and not path.is_symlink():
                    return path
        raise not_found("file of this task", name)

    def sweep(self) -> None:
        """Forgets old results, and removes folders that no task has."""
        with self._lock:
            for task in self._old():
                del self._tasks[task.id]
        for folder in self._files.all("tasks"):
            if folder.name not in self._tasks:
                remove(folder)

    def count(self) -> int:
        """Unfinished ones."""
        return sum(one.ended is None for one in list(self._tasks.values()))

    def _old(self) -> list[_Task]:
        ended = [one for one in self._tasks.values() if one.ended is not None]
        ended.sort(key=lambda one: one.ended or 0.0)
        too_many, before = max(0, len(ended) - MOST_KEPT), self._clock() - KEPT_SECONDS
        return [one for n, one in enumerate(ended) if n < too_many or (one.ended or 0.0) < before]

    def _make_room(self, user: str, superseded: str | None) -> None:
        with self._lock:
            own = [one for one in self._tasks.values() if one.user == user and one.ended is None]
        for one in own:
            if one.kind == superseded and one.future is not None:
                self._engine.cancel(one.future)
        if len([one for one in own if one.kind != superseded]) >= MOST_WAITING:
            message = f"{MOST_WAITING} things that you asked for are not finished; wait for them"
            raise ApiError(429, "too_many_tasks", message, retry_after=_RETRY)

    def _found(self, user: str, task_id: str) -> _Task:
        with self._lock:
            task = self._tasks.get(task_id)
        if task is None or task.user != user:
            raise not_found("task", task_id)
        return task

    def _reached(self, task: _Task, share: float, stage: str) -> None:
        if task.ended is None:
            task.state, task.progress, task.stage = IN_PROGRESS, 100 * share, stage

    def _ended(self, task: _Task, future: Future[dict[str, Any]], shape: Shape) -> None:
        error = future.exception()
        task.stage = None
        if error is None:
            task.result = shape(future.result(), partial(url_of, task.id))
            task.progress, task.state = 100.0, COMPLETED
        elif isinstance(error, Cancelled):
            task.state = CANCELLED
        else:
            task.error, task.state = error_view(error, self._files.public), FAILED
        task.ended = self._clock()


def url_of(task_id: str, name: str) -> str:
    return f"/v1/tasks/{task_id}/files/{name}"
