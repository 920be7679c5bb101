"""Requests in the engine's process: who waits for what, how far it is, and what comes out."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latentsync.errors import Cancelled, LatentSyncError
from latentsync.jobs.failures import line_of, may_pass
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.session import Session
from latentsync.server.errors import ApiError
from latentsync.server.work.messages import Answer, Reached, Request

logger = logging.getLogger(__name__)

Send = Callable[[Any], None]
OFTEN = 0.2
"""Seconds between two messages of how far a request is, at least."""
_KNOWN = ("latentsync.errors", "latentsync.server.errors")
"""Modules of errors that the server's process knows without loading torch."""


class Asked:
    """One request. at_frame: called at each frame of long work; it may wait."""

    def __init__(self, request: Request, send: Send, at_frame: Callable[[], None]) -> None:
        self.request, self._send, self._at_frame = request, send, at_frame
        self._cancelled, self._said = threading.Event(), 0.0
        self._sessions: list[Session] = []

    @property
    def arguments(self) -> dict[str, Any]:
        return self.request.arguments

    @property
    def folder(self) -> Path:
        """For the files of the result; it is there."""
        self.request.folder.mkdir(parents=True, exist_ok=True)
        return self.request.folder

    def cancel(self) -> None:
        """From any thread."""
        self._cancelled.set()
        for session in list(self._sessions):
            session.cancel()

    def check(self) -> None:
        """Raises Cancelled."""
        if self._cancelled.is_set():
            raise Cancelled("the request")

    @contextmanager
    def uses(self, session: Session) -> Iterator[Session]:
        """The session ends with the block, or when the request is cancelled."""
        with session:
            self._sessions.append(session)
            try:
                self.check()
                yield session
            finally:
                self._sessions.remove(session)

    def reach(self, share: float, stage: str) -> None:
        """share: 0 to 1. Raises Cancelled."""
        self.check()
        now = time.monotonic()
        if now - self._said >= OFTEN:
            self._said = now
            self._send(Reached(self.request.number, min(max(share, 0.0), 1.0), stage))

    def share(self, stage: str) -> Callable[[float], None]:
        """To call with a share, 0 to 1, of the whole request."""
        return lambda share: self.reach(share, stage)

    def progress(self, first: float = 0.0, last: float = 1.0) -> Progress:
        """Of a part of the request: shares from first to last."""

        @contextmanager
        def shown(title: str, total: int, /) -> Iterator[Callable[[], None]]:
            done = 0

            def step() -> None:
                nonlocal done
                done += 1
                self._at_frame()
                self.reach(first + (last - first) * min(1.0, done / max(total, 1)), title)

            self.reach(first, title)
            yield step

        return shown


Answers = Mapping[str, Callable[[Asked], dict[str, Any]]]
"""Kind of a request -> what answers it."""


class Answering:
    """Answers requests of some kinds, in order. count: at once."""

    def __init__(
        self,
        name: str,
        answers: Answers,
        send: Send,
        at_frame: Callable[[], None] = lambda: None,
        count: int = 1,
    ) -> None:
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(count)
        ]
        self._answers, self._send, self._at_frame = answers, send, at_frame
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._open: dict[int, Asked] = {}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def ended(self, within: float) -> bool:
        """Whether nothing runs any more, or soon. within: seconds."""
        for thread in self._threads:
            thread.join(within)
        return not any(thread.is_alive() for thread in self._threads)

    def takes(self, kind: str) -> bool:
        return kind in self._answers

    def put(self, request: Request) -> None:
        asked = Asked(request, self._send, self._at_frame)
        self._open[request.number] = asked
        self._queue.put(asked)

    def cancel(self, number: int) -> None:
        if (asked := self._open.get(number)) is not None:
            asked.cancel()

    def end(self) -> None:
        """What runs is cancelled, what waits is not begun."""
        for asked in list(self._open.values()):
            asked.cancel()
        for _ in self._threads:
            self._queue.put(None)

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            self._send(self._answered(asked))
            self._open.pop(asked.request.number, None)

    def _answered(self, asked: Asked) -> Answer:
        number, kind = asked.request.number, asked.request.kind
        try:
            asked.check()
            return Answer(number, self._answers[kind](asked))
        except Exception as error:
            return Answer(number, None, as_sent(error))


def as_sent(error: Exception) -> Exception:
    """The error as the server's process can read it; bugs are logged here."""
    if isinstance(error, LatentSyncError):
        known = type(error).__module__ in _KNOWN
        return error if known else ApiError(422, "refused", line_of(error))
    logger.error("a request failed", exc_info=error)
    if may_pass(error):
        remedy = "free some, or wait until jobs have ended, and ask again"
        return ApiError(503, "short_of_room", f"{line_of(error)}; {remedy}", retry_after=30)
    return ApiError(500, "bug", f"{line_of(error)}; this is a bug, please report it")
