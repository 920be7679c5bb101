"""The segments of a JPEG: all that a file says besides its pixels is carried over as it is."""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator, Sequence

_START, _APP0, _APP1, _APP2, _APP11 = 0xD8, 0xE0, 0xE1, 0xE2, 0xEB
_APP14, _COMMENT = 0xEE, 0xFE
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_SCAN, _END = 0xDA, 0xD9
_FURTHER = b"MPF\0"
_NEXT = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""A marker within compressed data, where 0xFF is followed by 0 or is a restart."""

LONGEST_XMP = 0xFFFF - 2 - len(_XMP)
"""Bytes of a packet, as a segment has at most 65535 bytes, its size included."""

Segment = tuple[int, bytes]
"""The second byte of its marker, and its data."""
Data = bytes | mmap.mmap


def segments(data: Data) -> Iterator[Segment]:
    """Those before the first scan. Raises ValueError where there is no scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _SCAN:
            return
        (size,) = struct.unpack_from(">H", data, place + 2)
        yield marker, bytes(data[place + 4 : place + 2 + size])
        place += 2 + size
    raise ValueError("the file ends before its pixels")


def after_end(data: Data) -> int:
    """Bytes after the picture: further pictures, or a video of the moment."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == _END:
            return len(data) - place - 2
        if marker == 0xFF:
            place += 1
            continue
        (size,) = struct.unpack_from(">H", data, place + 2)
        place += 2 + size
        if marker == _SCAN:
            found = _NEXT.search(data, place)
            if found is None:
                return 0
            place = found.end() - 2
    return 0


def carried(data: Data) -> list[Segment]:
    """The segments that stay true when the pixels change: all but those of the encoder, the list
    of further pictures, and content credentials."""
    return [
        (marker, body)
        for marker, body in segments(data)
        if (_APP0 <= marker <= _APP0 + 15 or marker == _COMMENT)
        and marker not in (_APP11, _APP14)
        and not (marker == _APP2 and body.startswith(_FURTHER))
    ]


def has_credentials(data: Data) -> bool:
    """Whether it holds a C2PA manifest."""
    return any(marker == _APP11 and body[:2] == b"JP" for marker, body in segments(data))


def with_xmp(added: Sequence[Segment], xmp: bytes) -> list[Segment]:
    """Segments of metadata with that packet in place of their own, after APP0 and EXIF data."""
    others = [one for one in added if not (one[0] == _APP1 and one[1].startswith(_XMP))]
    first = sum(marker == _APP0 or body.startswith(b"Exif\0") for marker, body in others)
    return [*others[:first], (_APP1, _XMP + xmp), *others[first:]]


def with_segments(encoded: bytes, added: Sequence[Segment]) -> Iterator[bytes | memoryview]:
    """A JPEG as Pillow writes it -> the parts of the file with these segments in place of its own
    APP0."""
    yield encoded[:2]
    for marker, body in added:
        yield struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    place = 2
    if encoded[3] == _APP0:
        (size,) = struct.unpack_from(">H", encoded, 4)
        place += 2 + size
    yield memoryview(encoded)[place:]
