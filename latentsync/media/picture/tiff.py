"""TIFF with 8 or 16 bits per channel: Pillow has no colour of 16 bits, so the strips are written
here; it writes the directory before them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from latentsync.errors import MediaError
from latentsync.media.picture.exif import UPRIGHT

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES = 273, 274, 277, 278, 279
X_DENSITY, Y_DENSITY, PLANES, DENSITY_UNIT, PREDICTOR = 282, 283, 284, 296, 317
EXTRA, XMP, EXIF, PROFILE, GPS = 338, 700, 34665, 34675, 34853
_REDUCED, _SUB_DIRECTORIES, _INTEROP, _RAW_PHOTO = 254, 330, 40965, 50706
DIRECTORIES = (EXIF, GPS, _INTEROP)
OF_PIXELS = {
    *(_REDUCED, 255, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 263, 264, 265, 266),
    *(STRIPS, SAMPLES, ROWS, STRIP_BYTES, 280, 281, PLANES, 288, 289, 290, 291, 292, 293),
    *(301, PREDICTOR, 318, 319, 320, 322, 323, 324, 325, _SUB_DIRECTORIES, EXTRA, 339, 340, 341),
    *(347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
}
"""Tags that say how the pixels are stored."""

_NOTHING, _DEFLATE, _DIFFERENCES = 1, 8, 2
_UNCOMPRESSED = "raw"
_STRIP = 1 << 20  # bytes, about, of pixels
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Form:
    """How a TIFF is stored. width, height: before it is turned. extra: the meaning of its fourth
    channel, by the number of the standard. inverted: whether 0 is white."""

    width: int
    height: int
    bits: int
    orientation: int
    extra: int
    compressed: bool
    inverted: bool


def form_of(image: Any, path: Path) -> Form:
    """image: as Pillow opens it. Raises MediaError for a form that cannot be read."""
    tags: Mapping[int, Any] = image.tag_v2
    if _RAW_PHOTO in tags or tags.get(_REDUCED, 0) & 1:
        raise MediaError("a raw photo is not processed", path, "develop it, and save a TIFF")
    bits = max(tags.get(BITS, (1,)))
    samples, planes = tags.get(SAMPLES, 1), tags.get(PLANES, 1)
    if bits > 8 and (bits != 16 or samples == 2 or planes != 1):
        remedy = "save it with 16 bits per channel, interleaved, or with 8"
        raise MediaError("this form of TIFF is not read", path, remedy)
    orientation = tags.get(ORIENTATION, UPRIGHT)
    return Form(
        tags[WIDTH],
        tags[HEIGHT],
        16 if bits == 16 else 8,
        orientation if 1 <= orientation <= 8 else UPRIGHT,
        next(iter(tags.get(EXTRA, ())), 2),
        image.info.get("compression") != _UNCOMPRESSED,
        tags.get(PHOTOMETRIC) == 0,
    )


def kept_tags(image: Image.Image) -> ImageFileDirectory_v2:
    """The tags of a picture of any kind that stay true when the pixels change."""
    kept = ImageFileDirectory_v2()
    tags = getattr(image, "tag_v2", None)
    exif = image.getexif()
    for tag, value in (exif if tags is None else tags).items():
        if tag in OF_PIXELS or tag in DIRECTORIES:
            continue
        if tags is not None:
            kept.tagtype[tag] = tags.tagtype[tag]
        kept[tag] = value
    for directory in (EXIF, GPS):
        if inside := {k: v for k, v in exif.get_ifd(directory).items() if k != _INTEROP}:
            kept[directory] = inside
    return kept


def new_tags() -> ImageFileDirectory_v2:
    return ImageFileDirectory_v2()


def describe(
    tags: ImageFileDirectory_v2, *, icc: bytes, xmp: bytes, dpi: tuple[float, float] | None
) -> None:
    """Adds what other kinds of pictures hold outside of EXIF data, for upright pixels."""
    tags[ORIENTATION] = UPRIGHT
    if dpi:
        tags[X_DENSITY], tags[Y_DENSITY], tags[DENSITY_UNIT] = dpi[0], dpi[1], 2  # inches
    for tag, value, kind in ((PROFILE, icc, 7), (XMP, xmp, 1)):
        if value:
            tags.tagtype[tag] = kind
            tags[tag] = value


def encoded(
    pixels: np.ndarray, tags: ImageFileDirectory_v2, *, compressed: bool = True, extra: int = 2
) -> Iterator[bytes | memoryview]:
    """The parts of a file. pixels: (H, W, C) uint8 or uint16, C of 1 to 4. tags: besides those of
    the pixels; see kept_tags. extra: the meaning of the last of two or four channels."""
    height, width, channels = pixels.shape
    rows = max(1, min(height, _STRIP // (width * channels * pixels.itemsize)))
    starts = range(0, height, rows)
    strips = [_strip(pixels[start : start + rows], compressed=compressed) for start in starts]
    sizes = [len(strip) for strip in strips]
    tags[WIDTH], tags[HEIGHT], tags[SAMPLES], tags[ROWS] = width, height, channels, rows
    tags[BITS] = (8 * pixels.itemsize,) * channels
    tags[COMPRESSION] = _DEFLATE if compressed else _NOTHING
    if compressed:
        tags[PREDICTOR] = _DIFFERENCES
    tags[PHOTOMETRIC] = 2 if channels >= 3 else 1
    if channels in (2, 4):
        tags[EXTRA] = (extra,)
    tags[STRIP_BYTES] = tuple(sizes)
    tags[STRIPS] = tuple(int(one) for one in np.cumsum([0, *sizes[:-1]]))
    for tag in (WIDTH, HEIGHT, ROWS, STRIP_BYTES, STRIPS):
        tags.tagtype[tag] = 4  # LONG
    header = tags._get_ifh()
    yield header + tags.tobytes(len(header))
    yield from strips


def _strip(pixels: np.ndarray, *, compressed: bool) -> bytes | memoryview:
    """pixels: (h, W, C), contiguous."""
    stored = pixels.astype(pixels.dtype.newbyteorder("<"), copy=compressed)
    if not compressed:
        return stored.data.cast("B")
    stored[:, 1:] -= pixels[:, :-1]
    return zlib.compress(stored.data, _LEVEL)
