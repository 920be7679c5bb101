"""How a file is answered: with Range, under a name that no browser takes for more than a name."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse

from latentsync.server.errors import ApiError, not_found
from latentsync.server.http.answers import errors

PAGE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; media-src data:; font-src data:; "
    "frame-ancestors 'self'"
)
"""The evaluation's page is one file with its script inside: in a sandbox, no page of ours."""
FILE_POLICY = "sandbox; default-src 'none'; media-src 'self'; frame-ancestors 'self'"
_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".html": "text/html; charset=utf-8",
}
_HEADERS = ("Content-Security-Policy", "Cache-Control")
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|]+')

Download = Annotated[bool, Query(description="whether a browser is to save it")]


def described(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Of a route that answers with a file, for ``responses=``."""
    file = {"schema": {"type": "string", "format": "binary"}}
    content = dict.fromkeys(media_types, file)
    return {
        200: {"description": "the file", "content": content},
        206: {"description": "the part of it that Range asks for", "content": content},
        **errors(416),
    }


def file_answer(request: Request, path: Path, name: str, download: bool = False) -> FileResponse:
    """name: as the user knows it. Raises ApiError: 404, 416."""
    try:
        found = path.stat()
    except OSError:
        raise not_found("file", name) from None
    _check_range(request, found.st_size)
    return _answer(path, name, download, found)


async def text_answer(
    path: Path, name: str, public: Callable[[str], str], download: bool = False
) -> Response:
    """A text as public makes it, always the whole of it. Raises ApiError (404)."""
    try:
        text = await asyncio.to_thread(lambda: public(path.read_text("utf-8")))
    except OSError:
        raise not_found("file", name) from None
    like = _answer(path, name, download)
    headers = {key: like.headers[key] for key in ("content-disposition", *_HEADERS)}
    return Response(text, headers=headers, media_type=like.media_type)


def _answer(
    path: Path, name: str, download: bool, found: os.stat_result | None = None
) -> FileResponse:
    policy = PAGE_POLICY if path.suffix == ".html" else FILE_POLICY
    return FileResponse(
        path,
        media_type=_TYPES.get(path.suffix.lower(), "application/octet-stream"),
        filename=safe_name(name),
        stat_result=found,
        content_disposition_type="attachment" if download else "inline",
        headers=dict(zip(_HEADERS, (policy, "private, no-cache"), strict=True)),
    )


def safe_name(name: str) -> str:
    """A name for a file that any system can save."""
    name = name.encode("utf-8", "replace").decode("utf-8")
    return _UNSAFE.sub("_", name).strip(". ")[-150:] or "file"


def _check_range(request: Request, size: int) -> None:
    """Leaves one range that can be read; RFC 9110 lets a server ignore all others, and many ranges
    of one file would be a way to ask for it many times."""
    asked = request.headers.get("range")
    if asked is None:
        return
    found = _RANGE.fullmatch(asked.strip())
    first, last = (found[1], found[2]) if found else (None, None)
    if found is None or (first and last and int(last) < int(first)):
        headers = request.scope["headers"]
        request.scope["headers"] = [pair for pair in headers if pair[0] != b"range"]
    elif int(first or 0) >= size or (found[3] and not int(found[3])):
        message = f"{asked[:100]} of {size} bytes; ask for bytes that are there"
        raise ApiError(416, "range_not_satisfiable", message)
