"""Reads a file from an https URL that a user gives, within the limits of an upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from latentsync.places import part_file
from latentsync.server.errors import ApiError
from latentsync.server.files.folders import shown_name
from latentsync.server.files.receiving import too_large, write_chunks
from latentsync.server.internet.addresses import PUBLIC, Reach, locate
from latentsync.server.internet.pinned import FAILURES, answer_of
from latentsync.server.settings import Limits

TOTAL_SECONDS = 3600.0
"""Of one file: a server that sends a byte now and then holds nothing for longer."""

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

    Raises ApiError: 422 (url) where it cannot be read; 413 and 507 as write_chunks does.
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
    return shown_name(unquote(urlsplit(url).path), to.host)


async def _write(
    response: httpx2.Response,
    part: Path,
    limits: Limits,
    progress: Progress | None,
    field: str,
) -> None:
    stated = _check_head(response, field)
    if (stated or 0) > limits.upload:
        raise too_large(limits)
    # The connection has its own time-out, with words for URLs.
    patient = replace(limits, upload_seconds=TOTAL_SECONDS)
    await write_chunks(_watched(response, stated, progress), part, patient)


async def _watched(
    response: httpx2.Response, stated: int | None, progress: Progress | None
) -> AsyncIterator[bytes]:
    done = 0
    async for block in response.aiter_raw():
        done += len(block)
        if progress:
            progress(done, stated)
        yield block


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


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return "it takes too long; try again"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not valid for that name"
    return "the connection fails; try again"


def _refused(field: str, message: str) -> ApiError:
    return ApiError(422, "url", message, field)
