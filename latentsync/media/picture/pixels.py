"""Decodes a picture: as stored or upright, with 8 or 16 bits per channel."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from latentsync.errors import MediaError
from latentsync.media.picture import tiff
from latentsync.media.picture.info import PictureInfo, opened

_WHITE = {8: 255, 16: 65535}


def read_pixels(path: Path, info: PictureInfo) -> np.ndarray:
    """(H, W, C) uint8 or uint16, 0 to its largest value; C as in info.channels; C-contiguous.

    Turned as in the file but for TIFF, which both decoders turn upright. Raises MediaError.
    """
    with opened(path) as image:
        if info.bits == 16:
            return _deep(path, image, info)
        if image.mode != info.channels:
            image = image.convert(info.channels)
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _deep(path: Path, image: Image.Image, info: PictureInfo) -> np.ndarray:
    """Pillow has no colour of 16 bits: it drops the lower half."""
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        remedy = "copy it again, or save it with 8 bits"
        raise MediaError("the picture is damaged or incomplete", path, remedy)
    pixels = decoded if decoded.ndim == 3 else decoded[..., None]
    if info.kind == "tiff" and tiff.form_of(image, path).inverted:
        pixels = _WHITE[16] - pixels
    if info.grey:
        return np.ascontiguousarray(pixels[..., [0, 3] if info.alpha else [0]])
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    pixels = cv2.cvtColor(pixels, order, dst=pixels)
    return np.ascontiguousarray(pixels[..., : len(info.channels)])


def to_rgb(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, C), C of 1 to 4 -> (H, W, 3) and the alpha (H, W), or None."""
    alpha = pixels[..., -1].copy() if pixels.shape[2] in (2, 4) else None
    if pixels.shape[2] < 3:
        return np.repeat(pixels[..., :1], 3, axis=2), alpha
    return np.ascontiguousarray(pixels[..., :3]), alpha


def from_rgb(rgb: np.ndarray, alpha: np.ndarray | None, channels: str) -> np.ndarray:
    """The reverse, for "L", "LA", "RGB" or "RGBA". Equal channels become that grey exactly; other
    colours their luma by BT.601. Without an alpha channel, transparency is laid over white."""
    if alpha is not None and not channels.endswith("A"):
        rgb = _over_white(rgb, alpha)
    colors = [_luma(rgb)[..., None]] if channels.startswith("L") else [rgb]
    if channels.endswith("A"):
        white = np.iinfo(rgb.dtype).max
        opaque = np.full(rgb.shape[:2], white, rgb.dtype) if alpha is None else alpha
        colors.append(opaque[..., None])
    return np.ascontiguousarray(colors[0] if len(colors) == 1 else np.concatenate(colors, axis=2))


def to_bits(pixels: np.ndarray, bits: int) -> np.ndarray:
    """uint8 or uint16 pixels with 8 or 16 bits, rounded."""
    if bits == 8 * pixels.itemsize:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return np.stack([_to_8(row) for row in pixels])


def _to_8(row: np.ndarray) -> np.ndarray:
    """Row by row, as the intermediate values take twice the memory."""
    return ((row.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _luma(rgb: np.ndarray) -> np.ndarray:
    """The weights add up to 65536, so that equal channels stay what they are."""
    out = np.empty(rgb.shape[:2], rgb.dtype)
    for row, line in zip(rgb, out, strict=True):
        red, green, blue = row.astype(np.int64).T
        line[:] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    return out


def _over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    white = int(np.iinfo(rgb.dtype).max)
    out = np.empty_like(rgb)
    for row, share, line in zip(rgb, alpha, out, strict=True):
        shown = share.astype(np.int64)[:, None]
        line[:] = (row * shown + white * (white - shown) + white // 2) // white
    return out
