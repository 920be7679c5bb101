"""Boxes of ISO base media files (MP4, MOV): found, read and appended, without decoding."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_MOST = 10_000  # boxes in one other; a file of fragments has two for every few seconds
_TO_END = 0  # a size of 0: up to the end of what the box is in
_LONG = 1  # a size of 1: the size is a 64-bit number after the kind
_USER_TYPE = 16  # bytes of a uuid box that say what it is


class Box(NamedTuple):
    """kind: its four characters. start: its first byte. body: the first byte of what it holds. end:
    the byte after it; no further than the end of what it is in, whatever it states."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes one after the other, up to the first that cannot be one.

    start, end: bytes of the file; None: its end.
    """
    end = file.seek(0, os.SEEK_END) if end is None else end
    for _ in range(_MOST):
        box = _box_at(file, start, end)
        if box is None:
            return
        yield box
        start = box.end


def _box_at(file: BinaryIO, start: int, end: int) -> Box | None:
    file.seek(start)
    header = file.read(min(16, max(0, end - start)))
    if len(header) < 8:
        return None
    size, kind = struct.unpack(">I4s", header[:8])
    body = start + 8
    if size == _LONG:
        if len(header) < 16:
            return None
        size, body = struct.unpack(">Q", header[8:])[0], start + 16
    elif size == _TO_END:
        size = end - start
    if start + size < body:
        return None
    return Box(kind, start, body, min(start + size, end))


def find_box(file: BinaryIO, *path: bytes) -> Box | None:
    """The first box of that kind in the first one of the kind before, and so on."""
    start, end, found = 0, None, None
    for kind in path:
        found = next((box for box in boxes(file, start, end) if box.kind == kind), None)
        if found is None:
            return None
        start, end = found.body, found.end
    return found


def body_of(file: BinaryIO, box: Box, most: int) -> bytes:
    """What the box holds; at most that many bytes are read."""
    file.seek(box.body)
    return file.read(min(box.end - box.body, most))


def user_boxes(file: BinaryIO, user_type: bytes) -> Iterator[Box]:
    """The file's uuid boxes of that type (16 bytes); their body begins after it."""
    for box in boxes(file):
        if box.kind == b"uuid" and body_of(file, box, _USER_TYPE) == user_type:
            yield box._replace(body=box.body + _USER_TYPE)


def append_user_box(path: Path, user_type: bytes, content: bytes) -> None:
    """Appends a uuid box: nothing else moves. Raises OSError."""
    box = struct.pack(">I4s", 8 + _USER_TYPE + len(content), b"uuid") + user_type + content
    with path.open("ab") as file:
        file.write(box)


def is_iso_media(file: BinaryIO) -> bool:
    """Whether the file begins as an MP4 or MOV does."""
    first = next(boxes(file), None)
    return first is not None and first.kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
