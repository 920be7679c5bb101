"""Interlaced film: which field of a picture comes first."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from latentsync.media.avframe import PictureFilter
from latentsync.media.planes import plane_pixels

PROGRESSIVE, TOP_FIRST, BOTTOM_FIRST = "progressive", "tff", "bff"


def field_order(picture: VideoFrame) -> str:
    """PROGRESSIVE, TOP_FIRST or BOTTOM_FIRST, by the flags of a decoded picture.

    PyAV tells interlaced from progressive only. Which field is first shows in the one that FFmpeg
    puts first when it takes them apart.
    """
    if not picture.interlaced_frame:
        return PROGRESSIVE
    first_out = PictureFilter("separatefields")(picture)
    return TOP_FIRST if np.array_equal(_rows(first_out), _rows(picture)[0::2]) else BOTTOM_FIRST


def _rows(picture: VideoFrame) -> np.ndarray:
    return plane_pixels(picture.planes[0])
