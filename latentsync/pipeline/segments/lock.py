"""Who works on an output: a run by itself, or any number of workers of one list together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EAGAIN
from pathlib import Path

from latentsync.errors import MediaError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> None:
        """It knows no shared locks: workers are not kept from what a run by itself works on."""
        if not shared:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


@contextmanager
def held(folder: Path, *, shared: bool) -> Iterator[None]:
    """Beside others that share it, or alone. Raises MediaError where that cannot be; a worker may
    try again later, which the cause says. The lock goes with its process, however that ends."""
    descriptor = _locked(folder, shared=shared)
    try:
        yield
    finally:
        os.close(descriptor)
        drop(folder)


def is_left(folder: Path) -> bool:
    """Whether the file of the lock is there, held or not."""
    return _file_of(folder).exists()


def drop(folder: Path) -> None:
    """Deletes the file of the lock, where the folder is gone and nobody holds it."""
    path = _file_of(folder)
    if folder.exists() or not path.exists():
        return
    with suppress(MediaError, OSError):  # somebody holds it; Windows deletes no open file
        descriptor = _locked(folder, shared=False)
        try:
            path.unlink()
        finally:
            os.close(descriptor)


def _locked(folder: Path, *, shared: bool) -> int:
    """The descriptor of the file that is locked: not of one that somebody deleted meanwhile."""
    path = _file_of(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, shared=shared)
        except OSError as error:
            if error.errno in (EACCES, EAGAIN):
                os.close(descriptor)
                remedy = "wait for the other run, or end it"
                raise MediaError("another run works on this output", folder, remedy) from error
        except BaseException:
            os.close(descriptor)
            raise
        # else that disk knows no locks
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _file_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")
