"""Whether the user interrupts the queue: the one place that asks ComfyUI.

ComfyUI's function that asks resets its flag, so only the first call gets the answer. A thread looks
at the flag without that, and stops what runs; the function is called once, when that has stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from comfy import model_management

from latentsync.errors import Cancelled
from latentsync.pipeline.session import Session

LOOK = 0.05
"""Seconds between two looks at the flag."""


class Interruption:
    """Context manager. Inside, work ends with Cancelled when the user interrupts; outside, that is
    ComfyUI's own exception: an Exception in some versions, a BaseException in others."""

    def __init__(self) -> None:
        self._sessions: list[Session] = []
        self._lock = threading.Lock()
        self._asked, self._over = False, threading.Event()
        self._watch = threading.Thread(target=self._look, name="interruption", daemon=True)

    def __enter__(self) -> Interruption:
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._over.set()
        self._watch.join()
        if kind is not None and issubclass(kind, Cancelled):
            model_management.throw_exception_if_processing_interrupted()
            raise model_management.InterruptProcessingException  # another call has reset the flag

    def check(self) -> None:
        """Raises Cancelled once the user has interrupted."""
        if self._asked:
            raise Cancelled("the node", "was interrupted")

    @contextmanager
    def stops(self, session: Session) -> Iterator[Session]:
        """Inside the block the session is cancelled when the user interrupts; then it is closed."""
        with session:
            with self._lock:
                self._sessions.append(session)
            try:
                self.check()
                yield session
            finally:
                with self._lock:
                    self._sessions.remove(session)

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            if model_management.processing_interrupted():
                with self._lock:
                    self._asked = True
                    for session in self._sessions:
                        session.cancel()
                return
