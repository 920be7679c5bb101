"""Downloads one file over HTTP: verified, resumable, under its name only when complete."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

from latentsync.errors import CheckpointError
from latentsync.weights import record
from latentsync.weights.placing import is_there, put, reserved, unwritable
from latentsync.weights.request import (
    SCHEMES,
    Answer,
    PermanentError,
    Request,
    TransientError,
    UnreachableError,
)

logger = logging.getLogger(__name__)

Step = Callable[[int], None]


class Progress(Protocol):
    """Opens a bar for that many bytes (0: unknown). The yielded function is called with the number
    of new bytes: at once for those of an earlier run, negative for discarded ones."""

    def __call__(self, title: str, total: int, /) -> AbstractContextManager[Step]:
        """The bar ends with the context."""


class SourceError(CheckpointError):
    """This source fails; another one may work."""


class UnreachableSourceError(SourceError):
    """This source fails for every file at present."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries of a source.

    attempts: in a row without a new byte. first_wait, longest_wait: seconds between them, doubled
    each time. stall: seconds without a byte after which an attempt has failed.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    stall: float = 30.0

    def wait(self, failures: int, asked_for: float | None) -> float:
        """Seconds to wait. asked_for: by the server, or None."""
        wait = self.first_wait * 2 ** max(failures - 1, 0) if asked_for is None else asked_for
        return min(max(wait, 0.0), self.longest_wait)


RETRY_POLICY = RetryPolicy()
BRIEF = RetryPolicy(attempts=2, first_wait=0.5, longest_wait=2.0, stall=5.0)
"""For small files: nobody waits for minutes where their host cannot be reached."""


def download(
    url: str,
    target: Path,
    *,
    size: int | None,
    sha256: str | None,
    progress: Progress,
    retry: RetryPolicy = RETRY_POLICY,
    title: str = "",
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Downloads `url` to `target`. An existing, matching file is kept, without a request.

    size, sha256: expected, as far as known. title: its name in messages and in the progress; by
    default the target's. headers: for the host of `url` only, not for redirects to others. The next
    call resumes an interrupted one. Of several processes one downloads while the others wait.
    Raises SourceError, or CheckpointError where another source would not help.
    """
    job = _Job(url, target, title or target.name, size, sha256 or "", progress, retry)
    if url.partition("://")[0].lower() not in SCHEMES:
        raise job.refused("not an address with http or https")
    try:
        if is_there(target, size, job.sha256):
            return target
        with reserved(target, job.title):
            if not is_there(
                target, size, job.sha256
            ):  # another process may have downloaded it meanwhile
                _fetch_verified(job, Request(url, headers or {}, retry.stall))
    except UnreachableError as error:
        raise job.refused(str(error), UnreachableSourceError) from None
    except PermanentError as error:
        raise job.refused(str(error)) from None
    except OSError as error:
        raise unwritable(target, job.title, error) from None
    return target


@dataclass(frozen=True, slots=True)
class _Job:
    url: str
    target: Path
    title: str
    size: int | None
    sha256: str
    progress: Progress
    retry: RetryPolicy

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.{self.sha256[:8] or 'unknown'}.part")

    @property
    def have(self) -> int:
        """Bytes in the partial file."""
        return self.part.stat().st_size if self.part.exists() else 0

    def refused(self, why: str, kind: type[SourceError] = SourceError) -> SourceError:
        remedy = f"use another source, or download it by hand to {self.target}"
        return kind(f"cannot download {self.title}", f"{self.url}: {why}", remedy)


def _fetch_verified(job: _Job, request: Request) -> None:
    with job.progress(job.title, job.size or 0) as step:
        step(job.have)
        resumed = _fetch(job, request, step)
        found = _hash(job)
        if found != job.sha256 and resumed:
            logger.info("%s: wrong hash after resuming; downloading again", job.title)
            _discard(job, step)
            _fetch(job, request, step)
            found = _hash(job)
    if found != job.sha256:
        aside = job.target.with_name(f"{job.target.name}.wrong-{found[:8]}")
        job.part.replace(aside)
        raise job.refused(f"its sha256 is {found}, not {job.sha256} (kept as {aside.name})")
    put(job.part, job.target)


def _hash(job: _Job) -> str:
    return record.file_sha256(job.part) if job.sha256 else ""


def _discard(job: _Job, step: Step) -> None:
    step(-job.have)
    job.part.unlink(missing_ok=True)


def _fetch(job: _Job, request: Request, step: Step) -> bool:
    """Completes the partial file. Returns whether any attempt resumed one."""
    most, failures, resumed = job.have, 0, False
    while True:
        resumed = resumed or job.have > 0
        try:
            _attempt(job, request, step)
            return resumed
        except TransientError as error:
            failures = failures + 1 if job.have <= most else 0
            most = max(most, job.have)
            if failures >= job.retry.attempts:
                final = PermanentError if request.answered else UnreachableError
                raise final(f"{error.why}, {failures} times in a row") from None
            wait = job.retry.wait(failures, error.wait)
            logger.info("%s: %s; retrying in %.1f s", job.title, error.why, wait)
            time.sleep(wait)


def _attempt(job: _Job, request: Request, step: Step) -> None:
    """Requests the missing bytes, once."""
    if job.size is not None and job.have > job.size:
        _discard(job, step)
    have = job.have
    if have == job.size:
        return
    with request.open(have) as answer:
        if answer.first != have:
            if answer.total == have:
                return  # complete already; the size was not known
            _discard(job, step)
        if answer.first != job.have:
            raise TransientError("the server sent another byte range than requested")
        if job.size is not None and answer.total not in (None, job.size):
            raise PermanentError(f"the server's file has {answer.total:,} bytes, not {job.size:,}")
        _receive(job, answer, step)


def _receive(job: _Job, answer: Answer, step: Step) -> None:
    size = answer.total if job.size is None else job.size
    _check_space(job, size or 0)
    with job.part.open("ab", buffering=0) as part:  # unbuffered: received bytes survive a crash
        for block in answer.blocks():
            if size is not None and part.tell() + len(block) > size:
                raise PermanentError(f"the server sends more than the file's {size:,} bytes")
            _append(part, block)
            step(len(block))
    if size is not None and job.have < size:
        raise TransientError(f"the connection ended after {job.have:,} of {size:,} bytes")


def _check_space(job: _Job, size: int) -> None:
    left, free = size - job.have, shutil.disk_usage(job.target.parent).free
    if left > free:
        raise CheckpointError(
            f"not enough disk space for {job.title}",
            f"{left:,} bytes are missing, {free:,} are free in {job.target.parent}",
            "free some space, or choose another folder",
        )


def _append(file: FileIO, block: bytes) -> None:
    left = memoryview(block)
    while left:  # a full disk takes a part of it, and fails at the next call
        left = left[file.write(left) :]
