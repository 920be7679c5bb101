"""Writes what a user sends to the disk, as it comes, within the server's limits."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from latentsync.server.errors import ApiError
from latentsync.server.settings import Limits

BLOCK = 1 << 20
"""Bytes that are written at once."""


async def write_chunks(chunks: AsyncIterator[bytes], part: Path, limits: Limits) -> str:
    """Writes them into a new file. Returns the SHA-256, as hex.

    Raises ApiError: 413 for more bytes than an upload may have, 507 where the disk is to stay free,
    408 where nothing comes, 422 where nothing came.
    """
    digest, total, block = hashlib.sha256(), 0, bytearray()
    with part.open("xb") as file:
        async for chunk in _patient(chunks, limits.upload_seconds):
            block += chunk
            total += len(chunk)
            if total > limits.upload:
                raise too_large(limits)
            if len(block) >= BLOCK:
                await asyncio.to_thread(_write, file, block, digest, limits)
                block = bytearray()
        await asyncio.to_thread(_write, file, block, digest, limits)
    if not total:
        raise ApiError(422, "empty", "the file is empty (0 bytes); send it again", "file")
    return digest.hexdigest()


async def _patient(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Raises ApiError (408) where the next one takes longer."""
    waiting = aiter(chunks)
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(waiting)
        except StopAsyncIteration:
            return
        except TimeoutError:
            message = f"nothing came for {seconds:g} seconds; send the file again"
            raise ApiError(408, "timeout", message) from None
        yield chunk


def _write(file: BinaryIO, block: bytearray, digest: hashlib._Hash, limits: Limits) -> None:
    check_room(Path(file.name), limits, more=len(block))
    digest.update(block)
    try:
        file.write(block)
    except OSError as error:
        message = f"the server cannot keep the file: {error.strerror}; try again later"
        raise ApiError(507, "disk_full", message) from error


def too_large(limits: Limits) -> ApiError:
    message = f"the file has more than {limits.upload} bytes; send a smaller one"
    return ApiError(413, "too_large", message, "file")


def check_room(path: Path, limits: Limits, more: int = 0) -> None:
    """Raises ApiError (507) where the disk would have less left than is to stay free."""
    free = shutil.disk_usage(path.parent).free
    if free - more < limits.disk:
        message = (
            f"the server's disk has {free} bytes left, of which {limits.disk} stay free; "
            "delete old jobs and uploads, or try again later"
        )
        raise ApiError(507, "disk_full", message)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex; some seconds for gigabytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
