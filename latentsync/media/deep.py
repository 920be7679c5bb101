"""Conversions between frames of any depth and RGB of 16 bits: exact but for one rounding.

FFmpeg's scaler only moves chroma to and from the size of luma here. Its own conversion to RGB of
16 bits and back returns a 10-bit video of full range up to 3 of 1023 off, and dithers to 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from latentsync.media.samples import (
    WHITE,
    bits_of,
    chroma_steps,
    component_samples,
    has_alpha,
    is_gray,
    planar,
    repacked,
    rescaled,
    rounded_down,
    top_of,
)

_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Shares of red and blue in luma (ITU-T H.273), by the scaler's code of the matrix."""

_BICUBIC, _EXACT_ROUNDING, _ALL_CHROMA_OUT, _ALL_CHROMA_IN = 0x4, 0x40000, 0x2000, 0x4000
_UP = _BICUBIC | _EXACT_ROUNDING | _ALL_CHROMA_OUT
_DOWN = _BICUBIC | _EXACT_ROUNDING | _ALL_CHROMA_IN

_WIDE = {(2, 1): "yuv422p16le", (2, 2): "yuv420p16le"}
"""By the steps of chroma: where it is scaled to before it is rounded to the depth wanted."""


@dataclass(frozen=True, slots=True)
class YuvScale:
    """How YUV is coded: black, luma's way to white, chroma's zero, chroma's way from end to end."""

    black: float
    luma: float
    zero: float
    chroma: float

    @classmethod
    def of(cls, color_range: ColorRange, bits: int, *, shift: int = 0) -> YuvScale:
        """Of samples with that many bits, moved up by shift more."""
        if color_range == ColorRange.JPEG:
            top = float(2**bits - 1 << shift)
            return cls(0, top, 2.0 ** (bits - 1 + shift), top)
        unit = 2.0 ** (bits - 8 + shift)
        return cls(16 * unit, 219 * unit, 128 * unit, 224 * unit)


def yuv_to_rgb(matrix: int, scale: YuvScale) -> np.ndarray:
    """(3, 4) float64: (Y, Cb, Cr, 1) of that scale -> (R, G, B) in 16 bits."""
    red, blue = _LUMA[matrix]
    green = 1 - red - blue
    to_red, to_blue = 2 * (1 - red), 2 * (1 - blue)
    of_yuv = np.array(
        [
            [1, 0, to_red],
            [1, -to_blue * blue / green, -to_red * red / green],
            [1, to_blue, 0],
        ]
    )
    linear = WHITE * of_yuv / [scale.luma, scale.chroma, scale.chroma]
    offset = -linear @ [scale.black, scale.zero, scale.zero]
    return np.concatenate([linear, offset[:, None]], axis=1)


def rgb_to_yuv(matrix: int, scale: YuvScale) -> np.ndarray:
    """(3, 4) float64: (R, G, B, 1) in 16 bits -> (Y, Cb, Cr) of that scale."""
    there = yuv_to_rgb(matrix, scale)
    linear = np.linalg.inv(there[:, :3])
    return np.concatenate([linear, -linear @ there[:, 3:]], axis=1)


class ToRgb16:
    """Decoded frames -> RGB of 16 bits. Keeps its scaler for the whole video."""

    def __init__(self, matrix: int, color_range: ColorRange) -> None:
        """matrix: the scaler's code."""
        self._matrix, self._range = matrix, color_range
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame, width: int, height: int) -> np.ndarray:
        """Any pixel format -> (height, width, 3) uint16 RGB; another size is scaled."""
        if frame.format.is_rgb or frame.format.name.startswith("xyz"):
            return self._scaled(frame, width, height, "rgb48le").to_ndarray()
        bits = bits_of(frame.format)
        if is_gray(frame.format):
            return self._gray(frame, width, height, 2**bits - 1)
        yuv = component_samples(self._scaled(frame, width, height, "yuv444p16le"))
        scale = YuvScale.of(self._range, bits, shift=16 - bits)
        return cv2.transform(cv2.merge(yuv), yuv_to_rgb(self._matrix, scale))

    def _gray(self, frame: VideoFrame, width: int, height: int, top: int) -> np.ndarray:
        luma = rescaled(
            component_samples(repacked(frame, planar(frame.format.name)))[0], top, WHITE
        )
        if luma.shape != (height, width):
            luma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_CUBIC)
        return cv2.merge([luma] * 3)

    def _scaled(self, frame: VideoFrame, width: int, height: int, pix_fmt: str) -> VideoFrame:
        """Both ranges are called limited, whatever they are, so that samples are moved up to 16
        bits and nothing else: those of full range would be stretched in some formats only."""
        return self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=pix_fmt,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_UP,
        )


class FromRgb16:
    """RGB of 16 bits -> frames of a pixel format."""

    def __init__(
        self,
        matrix: int,
        color_range: ColorRange,
        pix_fmt: str,
        mark: Callable[[VideoFrame], VideoFrame],
    ) -> None:
        """matrix: the scaler's code. mark: sets where chroma lies, and the order of fields."""
        self._pix_fmt, self._mark = pix_fmt, mark
        self._planar = VideoFormat(planar(pix_fmt), 16, 16)
        self._bits = bits_of(self._planar)
        self._steps = chroma_steps(self._planar)
        if is_gray(self._planar):
            color_range = ColorRange.JPEG
        fine = YuvScale.of(color_range, self._bits, shift=16 - self._bits)
        self._to_yuv = rgb_to_yuv(matrix, YuvScale.of(color_range, self._bits))
        self._to_fine_yuv = rgb_to_yuv(matrix, fine)
        self._scaler = VideoReformatter()

    def __call__(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> VideoFrame:
        """pixels: (H, W, 3) uint16 RGB. alpha: (H, W) uint8 or uint16; None: opaque."""
        height, width = pixels.shape[:2]
        frame = VideoFrame(width, height, self._planar.name)
        top = 2**self._bits - 1
        color = self._rgb(pixels, top) if self._planar.is_rgb else self._yuv(pixels, top)
        write_planes(frame, color, alpha)
        return repacked(frame, self._pix_fmt)

    def _rgb(self, pixels: np.ndarray, top: int) -> Sequence[np.ndarray]:
        return cv2.split(rescaled(pixels, WHITE, top))

    def _yuv(self, pixels: np.ndarray, top: int) -> Sequence[np.ndarray]:
        """Chroma of full range may reach half a step beyond the top."""
        if self._steps == (1, 1) and not is_gray(self._planar):
            yuv = cv2.split(cv2.transform(pixels, self._to_yuv))
            return [np.minimum(plane, top) for plane in yuv]
        luma = cv2.transform(pixels, self._to_yuv[:1])
        if is_gray(self._planar):
            return [luma]
        fine = cv2.split(cv2.transform(pixels, self._to_fine_yuv[1:]))
        return [luma, *(self._rounded(plane) for plane in self.subsampled(fine))]

    def _rounded(self, plane: np.ndarray) -> np.ndarray:
        """From 16 bits to the depth of the format."""
        return rounded_down(plane, 16 - self._bits)

    def subsampled(self, chroma: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Two planes (H, W) uint16 -> of the size that chroma has in the format, also uint16."""
        height, width = chroma[0].shape
        if self._steps not in _WIDE:  # 4:1:1 and the like, of which there is no 16-bit format
            size = -(-width // self._steps[0]), -(-height // self._steps[1])
            return [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in chroma]
        frame = VideoFrame(width, height, "yuv444p16le")
        for plane, samples in zip(component_samples(frame)[1:], chroma, strict=True):
            plane[...] = samples
        scaled = self._scaler.reformat(
            self._mark(frame), format=_WIDE[self._steps], interpolation=_DOWN
        )
        return [plane.copy() for plane in component_samples(scaled)[1:]]


def write_planes(frame: VideoFrame, color: Sequence[np.ndarray], alpha: np.ndarray | None) -> None:
    """color: samples for each component of the planar frame but alpha, in its depth.

    alpha: (H, W) uint8 or uint16; None: opaque, if the format has alpha.
    """
    planes = component_samples(frame)
    for plane, samples in zip(planes[: len(color)], color, strict=True):
        plane[...] = samples
    if has_alpha(frame.format):
        top = 2 ** frame.format.components[-1].bits - 1
        planes[-1][...] = top if alpha is None else rescaled(alpha, top_of(alpha), top)
