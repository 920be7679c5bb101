"""Shortens a text in the header of a finished file, where no other byte has to move.

The header is written before the first frame; what was done to the frames is known after the last.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from latentsync.errors import MediaError
from latentsync.media.boxes import find_box, is_iso_media

_LONGEST = 512 * 2**20  # bytes of a header; an hour of video has about one million
_SEGMENT, _TAGS, _CRC = b"\x18\x53\x80\x67", b"\x12\x54\xc3\x67", b"\xbf"
_CRC_BYTES = 6  # identifier, size and checksum


def shorten(path: Path, old: str, new: str) -> None:
    """Replaces a text in the metadata of an MP4, MOV, Matroska or WebM file.

    new: no longer than old, in UTF-8; what is left of old becomes zero bytes, which end a text.
    Raises MediaError: the file does not hold the old text, or the new one is longer.
    """
    before, after = (text.encode("utf-8", "surrogateescape") for text in (old, new))
    with path.open("r+b") as file:
        header = _header(file)
        found = before in header.content
        if not found or len(after) > len(before):
            what = "the description of what was done to the video cannot be corrected"
            raise MediaError(what, path, "leave it out with output.provenance=none")
        content = header.content.replace(before, after.ljust(len(before), b"\0"))
        file.seek(header.start)
        file.write(_with_checksum(content) if header.has_checksum else content)


class _Header(NamedTuple):
    """The part of a file with its metadata. start: its first byte."""

    start: int
    content: bytes
    has_checksum: bool = False


def _header(file: BinaryIO) -> _Header:
    if is_iso_media(file):
        moov = find_box(file, b"moov")
        start, end = (0, 0) if moov is None else (moov.body, moov.end)
    else:
        start, end = _tags(file)
    file.seek(start)
    content = file.read(min(end - start, _LONGEST))
    return _Header(start, content, content.startswith(_CRC + b"\x84"))


def _with_checksum(tags: bytes) -> bytes:
    """The same tags with the checksum of what follows it."""
    rest = tags[_CRC_BYTES:]
    return tags[:2] + zlib.crc32(rest).to_bytes(4, "little") + rest


def _tags(file: BinaryIO) -> tuple[int, int]:
    """Where the content of a Matroska file's first Tags begins and ends; (0, 0): nowhere."""
    end = file.seek(0, os.SEEK_END)
    start = 0
    while start < end:
        name, body, size = _element(file, start, end)
        if name == _TAGS:
            return body, body + size
        start = body if name == _SEGMENT else body + size
    return 0, 0


def _element(file: BinaryIO, start: int, end: int) -> tuple[bytes, int, int]:
    """Identifier of a Matroska element, where its content begins, and the size of that.

    The content ends no later than the file; an unknown size, and no element at all, reach its end.
    """
    file.seek(start)
    data = file.read(12)
    wide = 9 - data[0].bit_length() if data else 9
    if wide > 4 or len(data) <= wide:
        return b"", end, 0
    first = data[wide]
    long = 9 - first.bit_length()
    value = int.from_bytes(data[wide : wide + long], "big") & ~(1 << (7 * long))
    body = start + wide + long
    unknown = value == (1 << (7 * long)) - 1
    return data[:wide], body, max(0, end - body) if unknown else min(value, max(0, end - body))
