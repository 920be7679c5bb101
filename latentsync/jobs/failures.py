"""What a failed task means: a line for the user, and whether it is worth another attempt."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from latentsync.errors import LatentSyncError

ATTEMPTS = 3
"""Most attempts at one task."""
LOST = 5
"""Most attempts at a task whose workers vanish: it may be the task that ends them."""
_BACK_OFF = (5.0, 30.0)
"""Seconds before the second and the third."""
_MAY_PASS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.ETIMEDOUT),
    *(errno.ESTALE, errno.EBUSY, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN),
}
"""Of the disk, the network, or memory: not of the input."""


class WorkerLostError(LatentSyncError):
    """The process or the machine that worked on a task is gone. where: its node."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason

    def __str__(self) -> str:
        return f"the worker on {self.where} is gone: {self.reason}; see the log of that machine"


def line_of(error: BaseException) -> str:
    """One line; of a bug also where it was raised from, as its traceback is in the job's log."""
    text = " ".join(str(error).split())
    if isinstance(error, LatentSyncError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def again_in(error: BaseException, attempt: int) -> float | None:
    """Seconds after which the task is tried again; None: it is not.

    attempt: the one that failed, from 1. Bad input fails at once: it will be bad the next time.
    """
    if isinstance(error, WorkerLostError):
        return 0.0 if attempt < LOST else None
    if attempt >= ATTEMPTS or not may_pass(error):
        return None
    return _BACK_OFF[min(attempt, len(_BACK_OFF)) - 1]


def may_pass(error: BaseException) -> bool:
    """Whether memory or input and output failed, here or in what it was raised from."""
    return any(
        _wants_memory(one) or getattr(one, "errno", None) in _MAY_PASS  # FFmpeg's errors, too
        for one in _causes(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """The machine's, or a GPU's."""
    return any(map(_wants_memory, _causes(error)))


def _wants_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
