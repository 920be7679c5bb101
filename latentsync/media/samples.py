"""Samples of frames in planar pixel formats: their depth, their planes as arrays, alpha."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from latentsync.media.avframe import plane_samples

WHITE = 65535
"""The value of white, and of opaque alpha, in 16 bits."""

_POINT, _EXACT_ROUNDING = 0x10, 0x40000


def bits_of(pix_fmt: VideoFormat) -> int:
    """Bits per channel, of the finest."""
    return max(component.bits for component in pix_fmt.components)


def has_alpha(pix_fmt: VideoFormat) -> bool:
    return any(component.is_alpha for component in pix_fmt.components)


def is_gray(pix_fmt: VideoFormat) -> bool:
    """Whether there is no chroma; FFmpeg takes the range of such a format as full."""
    return len(pix_fmt.components) < 3


def is_planar(pix_fmt: VideoFormat) -> bool:
    """Whether each component is a plane of its own, in this machine's byte order."""
    planes = {component.plane for component in pix_fmt.components}
    native = not pix_fmt.is_big_endian and bits_of(pix_fmt) <= 16
    return native and len(planes) == len(pix_fmt.components) and not pix_fmt.name.startswith("xyz")


@cache
def planar(pix_fmt: str) -> str:
    """The planar pixel format with the same samples: "yuv420p10le" for "p010le"."""
    wanted = VideoFormat(pix_fmt, 16, 16)
    if is_planar(wanted):
        return pix_fmt
    bits = bits_of(wanted)
    alpha = "a" if has_alpha(wanted) else ""
    depth = "" if bits <= 8 else f"{bits}le"
    if is_gray(wanted):
        return f"yuva444p{depth}" if alpha else f"gray{depth}"
    if wanted.is_rgb:
        return f"gbr{alpha}p{depth}"
    across, down = chroma_steps(wanted)
    chroma = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}[across, down]
    return f"yuv{alpha}{chroma}p{depth}"


def chroma_steps(pix_fmt: VideoFormat) -> tuple[int, int]:
    """(columns, rows) of the frame per chroma sample: (2, 2) for 4:2:0; (1, 1) without chroma."""
    sized = VideoFormat(pix_fmt.name, 16, 16)
    return 16 // sized.chroma_width(16), 16 // sized.chroma_height(16)


def component_samples(frame: VideoFrame) -> list[np.ndarray]:
    """(rows, columns) uint8 or uint16 for each component of a planar frame, in the order Y Cb Cr or
    R G B, then alpha: views, which may be written to if nobody else holds the frame."""
    return [
        plane_samples(frame.planes[component.plane], component.bits)
        for component in frame.format.components
    ]


def rescaled(samples: np.ndarray, top: int, new_top: int) -> np.ndarray:
    """Samples from 0 to top -> from 0 to new_top, rounded; uint8 if they fit, else uint16."""
    if top == new_top:
        return samples
    depth = cv2.CV_8U if new_top < 256 else cv2.CV_16U
    return cv2.addWeighted(samples, new_top / top, samples, 0, 0, dtype=depth)


def rounded_down(samples: np.ndarray, shift: int) -> np.ndarray:
    """uint8 or uint16 samples with that many bits less, rounded."""
    half = (1 << shift) >> 1
    return (np.minimum(samples, np.iinfo(samples.dtype).max - half) + half) >> shift


def top_of(samples: np.ndarray) -> int:
    """White, or opaque: 255 for uint8 pixels, WHITE for uint16."""
    return 255 if samples.dtype == np.uint8 else WHITE


def alpha_of(frame: VideoFrame, width: int, height: int, *, top: int) -> np.ndarray | None:
    """(height, width) uint8 or uint16 from 0 to top; None: the frame has no alpha channel."""
    if not has_alpha(frame.format):
        return None
    if not is_planar(frame.format):
        frame = repacked(frame, planar(frame.format.name))
    alpha = component_samples(frame)[-1]
    own_top = 2 ** frame.format.components[-1].bits - 1
    if alpha.shape != (height, width):
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    return np.array(rescaled(alpha, own_top, top))  # a copy: the frame's memory is not held


def repacked(frame: VideoFrame, pix_fmt: str) -> VideoFrame:
    """The same samples in another order; the frame itself if it has the format."""
    if frame.format.name == pix_fmt:
        return frame
    return VideoReformatter().reformat(
        frame,
        format=pix_fmt,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_POINT | _EXACT_ROUNDING,
    )
