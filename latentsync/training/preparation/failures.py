"""Errors of one source, and those that would repeat for each further one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from latentsync.errors import CheckpointError, LatentSyncError, MediaError

_FULL = (ENOSPC, EDQUOT)


@contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """Raises MediaError, "cannot write ...", in the place of an OSError."""
    try:
        yield
    except OSError as error:
        raise unwritten(what, path, error) from error


def unwritten(what: str, path: Path, error: OSError) -> MediaError:
    remedy = error.strerror or str(error)
    if error.errno in _FULL:
        remedy = f"{remedy}: make room and run the same again; what is finished stays"
    return MediaError(f"cannot write {what}", path, remedy)


def stops_all(error: LatentSyncError) -> bool:
    """Whether every further source would fail in the same way: wrong weights, or a full disk.

    To be asked in the process that raised it: causes do not travel to another.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CheckpointError):
            return True
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__
    return False
