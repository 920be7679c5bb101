"""The chunks of a PNG: all that a file says besides its pixels is carried over as it is."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = len(SIGNATURE) + 25
"""Bytes up to the end of the first chunk, IHDR."""
CREDENTIALS = b"caBX"  # C2PA
_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
_OF_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"sBIT", b"bKGD", b"sPLT"}
"""Chunks that the new pixels bring themselves, or that describe the old ones."""
_PROFILE = {b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"}

Chunk = tuple[bytes, bytes]
"""Its name of four letters, and its data."""
Data = bytes | mmap.mmap


def mapped(file: BinaryIO) -> mmap.mmap:
    """The bytes of a file, read where they are looked at only."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def chunks(data: Data) -> Iterator[Chunk]:
    """Of a whole PNG, without the pixels' data. Raises ValueError where it ends before its last
    chunk."""
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        name = bytes(data[place + 4 : place + 8])
        if place + 12 + size > len(data):
            break
        yield name, b"" if name == b"IDAT" else bytes(data[place + 8 : place + 8 + size])
        if name == b"IEND":
            return
        place += 12 + size
    raise ValueError("the file ends in the middle of its data")


def bits(data: Data) -> int:
    """Bits per channel; of a palette, of its indices."""
    return data[len(SIGNATURE) + 16]


def carried(data: Data, *, profile: bool) -> list[Chunk]:
    """The chunks that stay true when the pixels change. profile: whether colours stay what they
    were, so that their description does."""
    left = _OF_PIXELS | {CREDENTIALS} | (set() if profile else _PROFILE)
    return [chunk for chunk in chunks(data) if chunk[0] not in left]


def made(*, exif: bytes, icc: bytes, xmp: bytes, dpi: tuple[float, float] | None) -> list[Chunk]:
    """The chunks for metadata of another kind of file; what is empty is left out."""
    found: list[Chunk] = []
    if icc:
        found.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if dpi:
        x, y = (round(one / 0.0254) for one in dpi)
        found.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    if exif:
        found.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if xmp:
        found.append((b"iTXt", _XMP + xmp))
    return found


def with_xmp(added: Sequence[Chunk], xmp: bytes) -> list[Chunk]:
    """Chunks of metadata with that packet in place of their own."""
    others = [one for one in added if not (one[0] == b"iTXt" and one[1].startswith(_XMP))]
    return [*others, (b"iTXt", _XMP + xmp)]


def with_chunks(encoded: bytes, added: Sequence[Chunk]) -> Iterator[bytes | memoryview]:
    """A PNG without metadata -> the parts of the file with these chunks, after IHDR."""
    yield encoded[:HEADER]
    for name, data in added:
        yield struct.pack(">I", len(data)) + name
        yield data
        yield struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
    yield memoryview(encoded)[HEADER:]
