"""A fetched file gets its name only when it is complete; one process at a time puts it there."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from latentsync.errors import CheckpointError
from latentsync.places import part_file
from latentsync.weights import record

logger = logging.getLogger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_there(target: Path, size: int | None, sha256: str) -> bool:
    """Whether the file exists and matches. size, sha256: expected, as far as known."""
    if not target.is_file() or size not in (None, target.stat().st_size):
        return False
    return not sha256 or sha256 == record.sha256(target)


@contextlib.contextmanager
def reserved(target: Path, title: str) -> Iterator[None]:
    """Creates the file's folder and holds the file's lock. title: the file's name in messages."""
    with _folder(target.parent), _locked(target, title):
        yield


def put(part: Path, target: Path) -> None:
    """Renames a complete file to the name that it is found under."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())  # else a crash could leave an empty file under the name
    part.replace(target)


def put_content(content: bytes, target: Path) -> None:
    """Writes a whole file, which appears under its name only when it is complete."""
    with part_file(target) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def unwritable(target: Path, title: str, error: OSError) -> CheckpointError:
    """Says which file or folder cannot be written, and what to do."""
    what = f"cannot write {title}"
    if error.errno in FULL:
        remedy = "free some space and start again; the download will resume"
        return CheckpointError(what, f"{target.parent}: {error.strerror}", remedy)
    value = f"{error.filename or target}: {error.strerror or error}"
    return CheckpointError(what, value, "choose a folder that can be written to")


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Creates the folder; after an error, new folders that are empty are removed."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: a partial file, or another process's lock
            for one in made:
                one.rmdir()
        raise


@contextlib.contextmanager
def _locked(target: Path, title: str) -> Iterator[None]:
    """Holds the file's lock, which the operating system releases when the process ends."""
    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("%s: another process downloads it; waiting", title)
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows cannot remove an open file
            path.unlink()  # a waiting process notices that, and locks a new file
        lock.release()
