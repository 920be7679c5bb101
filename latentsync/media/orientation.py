"""How a stored picture has to be turned to stand upright. FFmpeg tells, but PyAV does not do it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orientation:
    """Transpose first (rows become columns), then mirror: all eight ways that a picture can lie."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise: 0, 90, 180 or 270. A mirrored picture needs more than this."""
        if self.transpose:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_y else 0

    def upright_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the stored picture -> of the upright one. Its own inverse."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 as stored -> (H', W', 3) uint8 upright, C-contiguous."""
        if self.transpose:
            pixels = cv2.transpose(pixels)
        if self.mirror_x or self.mirror_y:
            both = self.mirror_x and self.mirror_y
            pixels = cv2.flip(pixels, -1 if both else int(self.mirror_x))
        return np.ascontiguousarray(pixels)


def orientation_of(picture: VideoFrame) -> Orientation:
    """Read the display matrix, fixed point [a b u; c d v; x y w]: (x, y) -> (ax + cy, bx + dy).

    A turn by anything but a quarter is left as it is, with a warning: it would leave empty corners.
    """
    # A Mapping in name only: it iterates over its values.
    entries = cast("Iterable[SideData]", picture.side_data)
    matrix = next((entry for entry in entries if entry.type is Type.DISPLAYMATRIX), None)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = (float(x) / 65536 for x in np.frombuffer(bytes(matrix), np.int32)[:5])
    if max(abs(a), abs(d)) < 0.01 < min(abs(b), abs(c)):
        return Orientation(True, mirror_x=c < 0, mirror_y=b < 0)
    if max(abs(b), abs(c)) < 0.01 < min(abs(a), abs(d)):
        return Orientation(False, mirror_x=a < 0, mirror_y=d < 0)
    _log.warning("the video asks to be turned by %d degrees: ignored", picture.rotation)
    return Orientation()
