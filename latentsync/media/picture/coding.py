"""Encodes pixels as a picture, with what its source says besides the pixels.

A picture of the source's kind keeps all of that, byte for byte, and stays turned as it was stored.
One of another kind gets EXIF data, ICC profile, XMP and density, and is stored upright: not all
viewers know EXIF data in all kinds.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from latentsync.media.picture import jpeg, png, tiff
from latentsync.media.picture.info import PictureInfo, opened
from latentsync.media.picture.metadata import Metadata, metadata_of

QUALITY = 95
"""Of JPEG and lossy WebP where the source does not say how finely to code."""
_EFFORT = 4  # of WebP, 0 to 6
_LOSSLESS_EFFORT = 40  # of WebP without loss, where it stands in place of the quality
_PNG_16 = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, 1]

Parts = Iterable[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """kind: a value of kinds.KINDS. quality: of JPEG and lossy WebP, 1 to 100; None: as finely as
    the source, else QUALITY. beside: the picture shows more than its source, of which it gets the
    description of the colours only."""

    kind: str
    quality: int | None = None
    beside: bool = False


def same_kind(info: PictureInfo, settings: PictureSettings) -> bool:
    """Whether the picture is stored as its source: turned, and with all that it says."""
    return settings.kind == info.kind and not settings.beside


def stored_form(info: PictureInfo, kind: str) -> tuple[str, int]:
    """The channels and the bits per channel that a picture of that kind is stored with."""
    alpha = info.alpha and kind not in ("jpeg", "bmp")
    deep = info.bits == 16 and kind in ("png", "tiff")
    no_grey = kind == "webp" or (kind == "png" and deep and alpha)  # OpenCV has none of that
    grey = info.grey and not no_grey
    return ("L" if grey else "RGB") + ("A" if alpha else ""), 16 if deep else 8


def encoded(
    pixels: np.ndarray,
    path: Path,
    info: PictureInfo,
    settings: PictureSettings,
    *,
    mark: Callable[[bytes], bytes] = bytes,
) -> Parts:
    """The parts of a file. pixels: (H, W, C) uint8 or uint16 as in stored_form, turned as they are
    stored. path: of the source. mark: of its packet of XMP, empty if it has none, makes the
    output's; a kind without a place for it stays without. Raises MediaError as info.opened does.
    """
    with opened(path) as image:
        said = metadata_of(image)
        if settings.beside:
            said = said.colors_only()
        if not same_kind(info, settings):
            said = said.upright()
        if stored_form(info, settings.kind)[0][0] != info.channels[0]:
            said = said.without_profile()
        packet = mark(said.xmp)
        marked = packet != said.xmp and _fits(packet, settings.kind)
        said = said.with_xmp(packet if marked else said.xmp)
        source = _Source(path, image, info, said, settings, marked)
        return _ENCODERS[settings.kind](pixels, source)


def _fits(packet: bytes, kind: str) -> bool:
    return kind != "jpeg" or len(packet) <= jpeg.LONGEST_XMP


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What is encoded anew. said: the metadata that the output gets. marked: whether its XMP is
    another than the source's."""

    path: Path
    image: Image.Image
    info: PictureInfo
    said: Metadata
    settings: PictureSettings
    marked: bool

    @property
    def same_kind(self) -> bool:
        return same_kind(self.info, self.settings)

    @property
    def named(self) -> dict[str, Any]:
        """The metadata by the names of Pillow's options; what is empty is left out."""
        said = self.said
        options = {"exif": said.exif, "icc_profile": said.icc, "xmp": said.xmp, "dpi": said.dpi}
        return {name: value for name, value in options.items() if value}


def _png(pixels: np.ndarray, source: _Source) -> Parts:
    said = source.said
    added = png.made(exif=said.exif, icc=said.icc, xmp=said.xmp, dpi=said.dpi)
    if source.same_kind:
        with source.path.open("rb") as file, png.mapped(file) as data:
            added = png.carried(data, profile=pixels.shape[2] == len(source.info.channels))
        added = png.with_xmp(added, said.xmp) if source.marked else added
    if pixels.dtype == np.uint8:
        return png.with_chunks(_saved(pixels, "PNG"), added)
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(pixels.shape[2])
    ordered = pixels if order is None else cv2.cvtColor(pixels, order)
    return png.with_chunks(cv2.imencode(".png", ordered, _PNG_16)[1].tobytes(), added)


def _jpeg(pixels: np.ndarray, source: _Source) -> Parts:
    image, settings = source.image, source.settings
    options: dict[str, Any] = {"quality": settings.quality or QUALITY, "subsampling": 0}
    if isinstance(image, JpegImageFile) and settings.quality is None:
        # Blocks that did not change come back almost as they were: 60 to 80 dB.
        options = {"qtables": image.quantization, "subsampling": max(0, get_sampling(image))}
        options["progressive"] = bool(image.info.get("progressive"))
    if source.same_kind:
        added = jpeg.carried(source.path.read_bytes())
        added = jpeg.with_xmp(added, source.said.xmp) if source.marked else added
        return jpeg.with_segments(_saved(pixels, "JPEG", **options), added)
    return [_saved(pixels, "JPEG", **options, **source.named)]


def _webp(pixels: np.ndarray, source: _Source) -> Parts:
    quality = source.settings.quality
    lossless = source.info.lossless and quality is None
    options = {"quality": _LOSSLESS_EFFORT if lossless else quality or QUALITY, "method": _EFFORT}
    return [_saved(pixels, "WEBP", lossless=lossless, exact=True, **options, **source.named)]


def _tiff(pixels: np.ndarray, source: _Source) -> Parts:
    image, said = source.image, source.said
    tags = tiff.new_tags() if source.settings.beside else tiff.kept_tags(image)
    if not source.same_kind:
        tiff.describe(tags, icc=said.icc, xmp=said.xmp, dpi=said.dpi)
    elif source.marked:
        tiff.set_bytes(tags, tiff.XMP, said.xmp, 1)
    if source.info.kind != "tiff":
        return tiff.encoded(pixels, tags)
    form = tiff.form_of(image, source.path)
    return tiff.encoded(pixels, tags, compressed=form.compressed, extra=form.extra)


def _bmp(pixels: np.ndarray, source: _Source) -> Parts:
    return [_saved(pixels, "BMP", **({"dpi": source.said.dpi} if source.said.dpi else {}))]


_ENCODERS: dict[str, Callable[[np.ndarray, _Source], Parts]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "tiff": _tiff,
    "bmp": _bmp,
}


def _saved(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    """pixels: (H, W, C) uint8."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()
