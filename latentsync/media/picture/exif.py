"""The orientation in a block of EXIF data, read and set; everything else stays as it is."""

from __future__ import annotations

import re
import struct

UPRIGHT = 1
_ORIENTATION = 0x0112
_SHORT = 3
HEADER = b"Exif\0\0"
"""Of EXIF data in a JPEG; PNG and WebP have none."""
_IN_XMP = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[1-8]")


def orientation_of(exif: bytes) -> int:
    """1 to 8; 1, upright, where the data states none, or no valid one."""
    place = _place(exif)
    if place is None:
        return UPRIGHT
    (value,) = struct.unpack_from(place[1] + "H", exif, place[0])
    return value if 1 <= value <= 8 else UPRIGHT


def upright_exif(exif: bytes) -> bytes:
    """The same data for pixels that were turned upright."""
    place = _place(exif)
    if place is None:
        return exif
    changed = bytearray(exif)
    struct.pack_into(place[1] + "H", changed, place[0], UPRIGHT)
    return bytes(changed)


def upright_xmp(xmp: bytes) -> bytes:
    """XMP may state the orientation a second time."""
    return _IN_XMP.sub(rb"\g<1>1", xmp)


def _place(exif: bytes) -> tuple[int, str] | None:
    """Where the value of the first directory's orientation lies, and its byte order."""
    start = len(HEADER) if exif.startswith(HEADER) else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", exif, start + 4)
        (count,) = struct.unpack_from(order + "H", exif, start + directory)
        for number in range(count):
            entry = start + directory + 2 + 12 * number
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == _ORIENTATION and kind == _SHORT and entry + 10 <= len(exif):
                return entry + 8, order
    except struct.error:  # the data ends too early
        return None
    return None
