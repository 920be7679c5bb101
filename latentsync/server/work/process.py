"""The engine's process, seen from the server's: it is started when there is work, and again if it
dies.

    people    {config}                     {people: [PersonView]}; portraits are files of folder
    preview   {config, seconds, restorers} PreviewView; pictures are files of folder
    estimate  {config}                     EstimateView
    fetch     {keys, accept}               {models: [ModelView]}
    proxy     {video}                      {file: name of the H.264 copy in folder}

config: as a job's, plain data with absolute paths (dataclasses.asdict of settings.schema.Config).
Views come as dataclasses.asdict makes them, with names of files where they have URLs.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from latentsync.errors import Cancelled
from latentsync.server.errors import ApiError
from latentsync.server.settings import ServerSettings
from latentsync.server.work.messages import Answer, Cancel, End, Reached, Request, Wake

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
"""Called from another thread: share, 0 to 1, and what is done, in words."""

BACK_OFF = (0.5, 30.0)
"""Seconds until a process that has died is started again: the first time, doubled each time, and at
most."""
STEADY = 60.0
"""Seconds of life after which a process counts as having started well."""
LEAVING = 15.0
"""Seconds in which a process that has hung up has to be gone."""
GIVING_BACK = 5.0
"""Seconds in which a task that is not to be finished has to be given back."""


@dataclass(frozen=True, slots=True)
class _Pending:
    future: Future[dict[str, Any]]
    progress: Progress


class EngineProcess:
    """Works on all jobs of settings.jobs, and answers requests; all calls are quick, from any
    thread, but drain."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lock = threading.RLock()  # of all that follows
        self._numbers = itertools.count()
        self._pending: dict[int, _Pending] = {}
        self._unsent: list[Any] = []
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._keeper: threading.Thread | None = None
        self._ending = threading.Event()

    def submit(
        self, kind: str, arguments: dict[str, Any], folder: Path, progress: Progress
    ) -> Future[dict[str, Any]]:
        """See above. The future ends with the result, or with a LatentSyncError (an ApiError where
        the process has failed): Cancelled after cancel(). It cannot be cancelled by itself."""
        future: Future[dict[str, Any]] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._ending.is_set():
                future.set_exception(self._loss(None))
                return future
            number = next(self._numbers)
            self._pending[number] = _Pending(future, progress)
            self._send(Request(number, kind, arguments, folder))
        return future

    def cancel(self, future: Future[dict[str, Any]]) -> None:
        """The future ends with Cancelled, soon, unless it has ended."""
        with self._lock:
            for number, pending in self._pending.items():
                if pending.future is future:
                    self._send(Cancel(number))

    def wake(self) -> None:
        """Jobs were added, or are there from before."""
        with self._lock:
            self._send(Wake())

    @property
    def pid(self) -> int | None:
        """Of the process; None: there is none."""
        process = self._process
        return None if process is None else process.pid

    def drain(self, grace: float) -> None:
        """No new work; the task at hand is finished within that many seconds, or given back. Ends
        the process, and returns."""
        with self._lock:
            self._ending.set()
            process = self._process
            if process is not None:
                self._send(End(finish=True))
        if process is not None:
            process.join(grace)
            with self._lock:
                self._send(End(finish=False))
            process.join(GIVING_BACK)
        self.kill()

    def kill(self) -> None:
        """At once; what was worked on is taken up again when the server is started again."""
        with self._lock:
            self._ending.set()
            process, keeper = self._process, self._keeper
            if process is not None:
                process.kill()
        if keeper is not None and keeper is not threading.current_thread():
            keeper.join()

    def _send(self, message: Any) -> None:
        """Held: the lock. What cannot be sent yet is sent to the next process."""
        if self._connection is None:
            self._unsent.append(message)
        else:
            with suppress(OSError):  # it has just died: the keeper sees it, too
                self._connection.send(message)
        if self._keeper is None and not self._ending.is_set():
            self._keeper = threading.Thread(target=self._keep, name="engine", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        """Starts the process, and again whenever it has died."""
        wait, most = BACK_OFF
        while not self._ending.is_set():
            begin = time.monotonic()
            try:
                process = self._started()
            except OSError as error:  # no memory, or too many processes
                logger.error("the engine's process cannot be started: %s", error)
            else:
                self._listen()
                process.join(LEAVING)
                process.kill()
                process.join()
                self._lose(process)
            if time.monotonic() - begin > STEADY:
                wait = BACK_OFF[0]
            self._ending.wait(wait)
            wait = min(2 * wait, most)
        self._lose(None)

    def _started(self) -> BaseProcess:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_run, args=(self._settings, theirs), name="latentsync engine", daemon=True
        )
        with self._lock:
            process.start()
            theirs.close()  # the other end is the process's alone, so that its death is seen
            self._process, self._connection = process, ours
            waiting, self._unsent = self._unsent, []
            for message in waiting:
                self._send(message)
            if self._ending.is_set():  # meanwhile
                process.kill()
        return process

    def _listen(self) -> None:
        """Until the process ends."""
        connection = self._connection
        assert connection is not None  # of the process that was just started
        with suppress(EOFError, OSError), connection:
            while True:
                self._take(connection.recv())

    def _take(self, message: Reached | Answer) -> None:
        with self._lock:
            pending = self._pending.get(message.number)
            if isinstance(message, Answer):
                self._pending.pop(message.number, None)
        if pending is None:
            return
        if isinstance(message, Reached):
            pending.progress(message.share, message.stage)
        elif message.error is not None:
            pending.future.set_exception(message.error)
        else:
            assert message.result is not None
            pending.future.set_result(message.result)

    def _lose(self, process: BaseProcess | None) -> None:
        """The process is gone, and with it what it was asked for."""
        with self._lock:
            self._process = self._connection = None
            lost, self._pending = self._pending, {}
            if self._ending.is_set():
                self._unsent = []
            else:  # what was asked meanwhile goes to the next one
                kept = [one.number for one in self._unsent if isinstance(one, Request)]
                self._pending = {number: lost.pop(number) for number in kept}
        if not self._ending.is_set() and process is not None:
            logger.warning("the engine's process ended (%s); it is started again", process.exitcode)
        for pending in lost.values():
            pending.future.set_exception(self._loss(process))

    def _loss(self, process: BaseProcess | None) -> Exception:
        if self._ending.is_set():
            return Cancelled("the request", "was given up, as the server ends")
        why = "out of memory?" if process is not None and process.exitcode == -9 else "see its log"
        message = f"the engine's process ended while it worked on this: {why}; ask again"
        return ApiError(503, "engine_lost", message, retry_after=5)


def _run(settings: ServerSettings, connection: Connection) -> None:
    from latentsync.server.work.child import main  # imports torch

    main(settings, connection)
