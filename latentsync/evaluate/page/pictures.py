"""Pictures inside the page: frames and mouths as data URIs, as fine as the page has room for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from latentsync.evaluate.shots import Shot
from latentsync.types import Box

MARGIN = 0.25
"""Around a mouth, of its box's sides."""


@dataclass(frozen=True, slots=True)
class Fineness:
    """frame, mouth: longest side in pixels. quality: of WebP, 1 to 100. every: of the shots, how
    many there are for one that is shown."""

    frame: int
    mouth: int
    quality: int
    every: int = 1


LADDER = (
    Fineness(frame=960, mouth=480, quality=85),
    Fineness(frame=800, mouth=420, quality=78),
    Fineness(frame=640, mouth=360, quality=70),
    Fineness(frame=480, mouth=320, quality=60),
    Fineness(frame=400, mouth=240, quality=40),
    Fineness(frame=400, mouth=240, quality=40, every=2),
    Fineness(frame=320, mouth=200, quality=30, every=4),
    Fineness(frame=240, mouth=160, quality=20, every=8),
)
"""Tried in this order, until the page is small enough."""
_EFFORT = 2  # of the WebP encoder: half the time of 4, which is its default, and 3 % larger
_SAMPLES = 3  # shots whose size tells that of all


@dataclass(frozen=True, slots=True)
class Picture:
    """uri: of data. width, height: of what is encoded, pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A shot with its pictures: (before, after) of the whole frame and of the mouth.

    before None: there is no source. mouth None: it is not known where it is.
    """

    shot: Shot
    frame: tuple[Picture | None, Picture]
    mouth: tuple[Picture | None, Picture] | None

    @property
    def size(self) -> int:
        """Bytes in the page."""
        pairs = (self.frame, self.mouth or ())
        return sum(len(one.uri) for pair in pairs for one in pair if one is not None)


def fitted(shots: Sequence[Shot], most: int) -> list[Shown]:
    """The shots with pictures of together at most so many bytes; fewer shots if it must be.

    The coarsest pictures are returned even where they are larger.
    """
    shown: list[Shown] = []
    for fineness in LADDER:
        kept = shots[:: fineness.every]
        if fineness is not LADDER[-1] and _expected(kept, fineness) > most:
            continue
        shown = [encoded(shot, fineness) for shot in kept]
        if sum(one.size for one in shown) <= most:
            break
    return shown


def _expected(shots: Sequence[Shot], fineness: Fineness) -> float:
    """Bytes of all, from a few of them."""
    sample = shots[:: -(-len(shots) // _SAMPLES) or 1]
    total = sum(encoded(shot, fineness).size for shot in sample)
    return total / max(len(sample), 1) * len(shots)


def encoded(shot: Shot, fineness: Fineness) -> Shown:
    """The shot's pictures, so fine."""
    box = around(shot.mouth, shot.after.shape[:2])
    frames = [shot.before, shot.after]
    mouths = [None if one is None else one[box.y0 : box.y1, box.x0 : box.x1] for one in frames]
    whole = _pair(frames, fineness.frame, fineness.quality)
    return Shown(
        shot, whole, None if box.empty else _pair(mouths, fineness.mouth, fineness.quality + 5)
    )


def around(mouth: Box, size: tuple[int, int]) -> Box:
    """The mouth with a margin, inside of a frame of size (height, width)."""
    if mouth.empty:
        return mouth
    x, y = (round(MARGIN * side) for side in (mouth.x1 - mouth.x0, mouth.y1 - mouth.y0))
    wide = Box(mouth.x0 - x, mouth.y0 - y, mouth.x1 + x, mouth.y1 + y)
    return wide.common(Box(0, 0, size[1], size[0]))


def _pair(
    pixels: Sequence[np.ndarray | None], side: int, quality: int
) -> tuple[Picture | None, Picture]:
    before, after = (None if one is None else picture(one, side, quality) for one in pixels)
    assert after is not None
    return before, after


def picture(pixels: np.ndarray, side: int, quality: int) -> Picture:
    """pixels: (H, W, 3) uint8 RGB. side: longest one afterwards, pixels; nothing is enlarged."""
    pixels, data = shrunk(pixels, side), BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", quality=quality, method=_EFFORT)
    encoded_as_text = b64encode(data.getvalue()).decode("ascii")
    return Picture(f"data:image/webp;base64,{encoded_as_text}", *pixels.shape[1::-1])


def shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) uint8 -> the same with a longest side of at most `side` pixels."""
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return pixels
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
