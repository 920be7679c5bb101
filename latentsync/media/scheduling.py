"""Keeps an encoder from moving the process into the real-time class.

SVT-AV1, run by root as in many containers, puts its threads, and the thread that opens it, into
SCHED_FIFO at the highest priority. Processes started later inherit that. On a machine with few
cores everything else then hardly runs, and threads that wait for each other may never go on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Gives the calling thread, and threads started meanwhile, the class that it had before."""
    if not hasattr(os, "sched_getscheduler") or not _TASKS.is_dir():  # not Linux
        yield
        return
    before = _threads()
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in {threading.get_native_id(), *(_threads() - before)}:
            with suppress(ProcessLookupError, PermissionError):  # it ended; it may not be changed
                os.sched_setscheduler(thread, policy, priority)


def _threads() -> set[int]:
    return {int(task.name) for task in _TASKS.iterdir()}
