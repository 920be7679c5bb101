"""Processes that work on tasks, one at a time each. One that dies takes only its task along."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from latentsync.errors import LatentSyncError
from latentsync.training.preparation.failures import stops_all

T = TypeVar("T")
FRAMES_PER_MESSAGE = 25
FRAMES_PER_SECOND = 25

AGAIN = "it is tried again in the next run"

Work = Callable[[Any, Callable[[], None]], Any]
"""(task, called for each frame) -> result. Made in each process by a Start."""
Start = Callable[[], Work]


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A task that has ended. result: None where error says why there is none."""

    task: T
    result: Any = None
    error: LatentSyncError | str | None = None


@dataclass(frozen=True, slots=True)
class Advanced(Generic[T]):
    """Seconds, at 25 frames each, of what was decoded for a task since the last of these."""

    task: T
    seconds: float


class OrphanedError(SystemExit):
    """The process that hands out the tasks is gone."""


def work_on(
    tasks: Sequence[T], count: int, start: Start
) -> Generator[Done[T] | Advanced[T], None, None]:
    """Yields what happens, until every task has ended once.

    start: called in each process, before its first task; picklable. A LatentSyncError of a task is
    its result; one of `start` is raised here, and so is one that each further task would meet, see
    failures.stops_all. A process that dies otherwise is replaced.
    """
    waiting = list(reversed(tasks))
    seats = [_Seat(start) for _ in range(min(count, len(waiting)))]
    try:
        for seat in seats:
            seat.give(waiting.pop())
        while busy := {seat.connection: seat for seat in seats if seat.task is not None}:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                seat = busy[connection]
                event = seat.receive()
                yield event
                if isinstance(event, Done) and waiting:
                    seat.give(waiting.pop())
    finally:
        for seat in seats:
            seat.end()


class _Seat:
    """A process, and its successors."""

    def __init__(self, start: Start) -> None:
        self._start, self.task = start, None
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_serve, args=(other, self._start), daemon=True
        )
        self._process.start()
        other.close()

    def give(self, task: Any) -> None:
        self.task = task
        with suppress(OSError):  # it has died, which receive() notices
            self.connection.send(task)

    def receive(self) -> Done[Any] | Advanced[Any]:
        task = self.task
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            return self._replaced(task)
        if kind == "frames":
            return Advanced(task, value / FRAMES_PER_SECOND)
        self.task = None
        return ended(task, kind, value)

    def _replaced(self, task: Any) -> Done[Any]:
        self._process.join()
        code = self._process.exitcode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else "failed"
        self.connection.close()
        self._begin()
        self.task = None
        return Done(task, error=f"the program {how} on it; {AGAIN}")

    def end(self) -> None:
        self.connection.close()
        if self.task is not None:
            self._process.terminate()
        self._process.join()


def _serve(connection: Connection, start: Start) -> None:
    """Runs in the process. An error that is none of a user's ends it, with a traceback."""
    try:
        work = start()
    except LatentSyncError as error:
        connection.send(("stop", error))
        return
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(attempted(work, task, _Counter(connection)))


def attempted(work: Work, task: Any, tick: Callable[[], None]) -> tuple[str, Any]:
    """In the process that works: what ended() reads."""
    try:
        return "done", work(task, tick)
    except LatentSyncError as error:
        return "stop" if stops_all(error) else "error", error


def ended(task: T, kind: str, value: Any) -> Done[T]:
    """Raises an error that each further task would meet."""
    if kind == "stop":
        raise value
    return Done(task, error=value) if kind == "error" else Done(task, value)


class _Counter:
    """Called for each frame: sends how many there were, and ends an orphan."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._count = connection, 0

    def __call__(self) -> None:
        self._count += 1
        if self._count % FRAMES_PER_MESSAGE == 0:
            parent = multiprocessing.parent_process()
            if parent is not None and not parent.is_alive():
                raise OrphanedError
            self._connection.send(("frames", FRAMES_PER_MESSAGE))
