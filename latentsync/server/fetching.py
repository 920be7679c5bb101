"""Reads a file from an https URL that a user gives, within the limits of an upload."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx2

from latentsync.places import part_file
from latentsync.server.addresses import PUBLIC, Reach, locate
from latentsync.server.errors import ApiError
from latentsync.server.pinned import FAILURES, answer_of
from latentsync.server.settings import Limits

TOTAL_SECONDS = 3600.0
"""Of one file: a server that sends a byte now and then holds nothing for longer."""
LONGEST_NAME = 200
_ROOM_EVERY = 64 << 20
"""Bytes after which the disk is looked at again."""

Progress = Callable[[int, int | None], None]
"""Bytes so far, and of how many; None: the server does not say."""


async def fetch(
    url: str,
    target: Path,
    limits: Limits,
    progress: Progress | None = None,
    *,
    field: str = "url",
    reach: Reach = PUBLIC,
    offline: bool = False,
    total_seconds: float = TOTAL_SECONDS,
) -> str:
    """Writes what the URL leads to into target, which appears when complete. Returns a name to
    show, from the URL. limits: upload, upload_seconds and disk are used. field: of the request.

    Raises ApiError: 422 (url) where it cannot be read, or is longer than an upload may be; 507
    where the disk has no room.
    """
    if offline:
        raise _refused(field, f"this server reads no addresses, so not {url}: upload the file")
    to = await locate(url, field, reach)
    try:
        async with (
            asyncio.timeout(total_seconds),
            answer_of("GET", to, seconds=limits.upload_seconds, reach=reach) as response,
        ):
            with part_file(target) as part:
                await _write(response, part, limits, progress, field)
    except FAILURES as error:
        raise _refused(field, f"{to.host} does not send {url}: {_reason(error)}") from error
    return _name(url) or to.host


async def _write(
    response: httpx2.Response,
    part: Path,
    limits: Limits,
    progress: Progress | None,
    field: str,
) -> None:
    stated = _check_head(response, field)
    _check_size(stated or 0, limits, field)
    _check_room(part, stated or 0, limits)
    done, looked = 0, 0
    with part.open("wb") as file:
        async for block in response.aiter_raw(1 << 16):
            done += len(block)
            _check_size(done, limits, field)
            if done - looked >= _ROOM_EVERY:
                _check_room(part, 0, limits)
                looked = done
            file.write(block)
            if progress:
                progress(done, stated)


def _check_head(response: httpx2.Response, field: str) -> int | None:
    """Returns how many bytes the server states; None: it does not."""
    if response.is_redirect:
        raise _refused(field, "the URL leads on to another one: give that one")
    if response.status_code != 200:
        message = f"the URL's server answers {response.status_code}: check that it can be read"
        raise _refused(field, message)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _refused(field, "the URL's server compresses the file: give one that sends it as is")
    stated = response.headers.get("content-length", "")
    return int(stated) if stated.isdecimal() else None


def _check_size(count: int, limits: Limits, field: str) -> None:
    if count > limits.upload:
        message = f"the URL's file is larger than {limits.upload} bytes: give a smaller one"
        raise _refused(field, message)


def _check_room(part: Path, count: int, limits: Limits) -> None:
    """count: bytes that are to come."""
    free = shutil.disk_usage(part.parent).free
    if free - count < limits.disk:
        message = f"the server's disk has {free} bytes left, and keeps {limits.disk}: try later"
        raise ApiError(507, "disk_full", message)


def _name(url: str) -> str:
    """The last part of its path; "": it has none that can be shown."""
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME].strip()


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return "it takes too long; try again"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not valid for that name"
    return "the connection fails; try again"


def _refused(field: str, message: str) -> ApiError:
    return ApiError(422, "url", message, field)
