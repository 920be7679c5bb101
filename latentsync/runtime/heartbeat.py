"""Log lines during long work that has no progress bar."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

EVERY = 20.0  # seconds


@contextmanager
def heartbeat(work: str, *, every: float = EVERY) -> Iterator[None]:
    """Logs the start of the work, a line every so many seconds, and the time that it took."""
    begin, done = time.monotonic(), threading.Event()

    def remind() -> None:
        while not done.wait(every):
            logger.info("%s: %.0f s so far", work, time.monotonic() - begin)

    logger.info("%s, once; this can take a minute", work)
    reminder = threading.Thread(target=remind, name="heartbeat", daemon=True)
    reminder.start()
    try:
        yield
    finally:
        done.set()
        reminder.join()
    logger.info("%s: done in %.0f s", work, time.monotonic() - begin)
