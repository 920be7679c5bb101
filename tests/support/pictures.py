"""Small pictures for tests, with what pictures say besides their pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

TAKEN = "2026:01:02 03:04:05"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
STORED = {
    1: lambda pixels: pixels,
    3: lambda pixels: np.rot90(pixels, 2),
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels),
    8: lambda pixels: np.rot90(pixels, -1),
}
"""By EXIF orientation: upright pixels as such a picture stores them."""


def exif_of(orientation: int = 1, *, xmp: bool = False) -> bytes:
    """xmp: whether XMP is a tag, as in a TIFF."""
    exif = Image.Exif()
    if xmp:
        exif[700] = XMP
    exif[0x010E], exif[0x0112] = "A face", orientation
    exif.get_ifd(0x8769)[0x9003] = TAKEN
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def said_by(image: Image.Image) -> dict[str, object]:
    """What the picture says, as Pillow reads it."""
    exif = image.getexif()
    return {
        "description": exif.get(0x010E),
        "taken": exif.get_ifd(0x8769).get(0x9003),
        "place": exif.get_ifd(0x8825).get(1),
        "icc": image.info.get("icc_profile"),
        "xmp": image.info.get("xmp"),
    }


SAID = {"description": "A face", "taken": TAKEN, "place": "N", "icc": ICC, "xmp": XMP}


def smooth(width: int = 48, height: int = 32) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([120 + 70 * np.sin((x * (1 + c) + y) / 19) for c in range(3)], 2).astype(
        np.uint8
    )


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()
