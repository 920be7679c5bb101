"""How a stored frame or picture is turned upright."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from latentsync.media.avframe import side_data

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored frame is turned upright; PyAV reads the matrix but does not apply it.

    Transpose first (rows become columns), then mirror: all eight orientations.
    """

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise: 0, 90, 180 or 270. Mirroring is not included."""
        if self.transpose:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_y else 0

    def upright_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the stored frame -> of the upright one. Its own inverse."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 as stored -> (H', W', 3) uint8 upright, C-contiguous."""
        if self.transpose:
            pixels = cv2.transpose(pixels)
        if self.mirror_x or self.mirror_y:
            both = self.mirror_x and self.mirror_y
            pixels = cv2.flip(pixels, -1 if both else int(self.mirror_x))
        return np.ascontiguousarray(pixels)

    def undo(self, pixels: np.ndarray) -> np.ndarray:
        """The reverse of apply(), for any number of channels."""
        if self.mirror_x:
            pixels = pixels[:, ::-1]
        if self.mirror_y:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels.swapaxes(0, 1) if self.transpose else pixels)


EXIF_ORIENTATIONS = (
    Orientation(),
    Orientation(mirror_x=True),
    Orientation(mirror_x=True, mirror_y=True),
    Orientation(mirror_y=True),
    Orientation(True),
    Orientation(True, mirror_x=True),
    Orientation(True, mirror_x=True, mirror_y=True),
    Orientation(True, mirror_y=True),
)
"""By the value of the EXIF tag, from 1."""


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the display matrix, fixed point [a b u; c d v; x y w]: (x, y) -> (ax + cy, bx + dy).

    Only multiples of 90 degrees: any other angle, which leaves empty corners, is ignored with a
    warning.
    """
    entries = (entry for entry in side_data(frame) if entry.type is Type.DISPLAYMATRIX)
    matrix = next(entries, None)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = (float(x) / 65536 for x in np.frombuffer(bytes(matrix), np.int32)[:5])
    if max(abs(a), abs(d)) < 0.01 < min(abs(b), abs(c)):
        return Orientation(True, mirror_x=c < 0, mirror_y=b < 0)
    if max(abs(b), abs(c)) < 0.01 < min(abs(a), abs(d)):
        return Orientation(False, mirror_x=a < 0, mirror_y=d < 0)
    _log.warning(
        "the video's rotation of %d degrees is ignored: not a multiple of 90", frame.rotation
    )
    return Orientation()
