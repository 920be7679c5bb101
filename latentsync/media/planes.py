"""The pixels of a picture of FFmpeg's, a plane at a time, without a copy."""

from __future__ import annotations

import numpy as np
from av.video.plane import VideoPlane


def plane_pixels(plane: VideoPlane) -> np.ndarray:
    """(rows, columns) uint8, of a plane with 8 bits a pixel: a view, rows padded in memory."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : min(plane.line_size, plane.width)]
