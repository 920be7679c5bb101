"""The marks that a still picture carries: its XMP, and whether it has a C2PA manifest."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from latentsync.media.picture import jpeg, png, tiff
from latentsync.media.picture.info import PictureInfo, opened
from latentsync.media.picture.metadata import metadata_of


def read_picture(path: Path, info: PictureInfo) -> tuple[bytes | None, bool]:
    """-> the XMP packet, and whether there is a manifest. Raises MediaError and OSError."""
    with opened(path) as image, path.open("rb") as file, png.mapped(file) as data:
        return metadata_of(image).xmp or None, _has_manifest(info.kind, image, data)


def _has_manifest(kind: str, image: Any, data: png.Data) -> bool:
    if kind == "png":
        return any(name == png.CREDENTIALS for name, _ in png.chunks(data))
    if kind == "jpeg":
        return jpeg.has_credentials(data)
    if kind == "tiff":
        return tiff.CREDENTIALS in image.tag_v2
    return kind == "webp" and _has_chunk(data, b"C2PA")


def _has_chunk(data: png.Data, wanted: bytes) -> bool:
    """Of a WebP."""
    place = 12
    while place + 8 <= len(data):
        if data[place : place + 4] == wanted:
            return True
        (size,) = struct.unpack_from("<I", data, place + 4)
        place += 8 + size + size % 2
    return False
