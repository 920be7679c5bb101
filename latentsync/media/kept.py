"""Frames for the encoder whose samples are the decoded ones where no pixel was changed.

RGB cannot hold all of a YUV frame: chroma lies between pixels in 4:2:0, and camera footage has
values beyond black and white. So the change of the pixels is added to the decoded samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from latentsync.media.avframe import FrameFilter
from latentsync.media.carrier import has_samples_to_keep
from latentsync.media.color import Conversion, FromRgb
from latentsync.media.decoder import ToUpright
from latentsync.media.deep import YuvScale, rgb_to_yuv, write_planes
from latentsync.media.samples import (
    WHITE,
    bits_of,
    chroma_steps,
    component_samples,
    rounded_down,
    top_of,
)
from latentsync.types import Box, Frame

_GRID = 8  # pixels: whole chroma samples of both fields
_REACH = 8  # pixels beyond a change that the subsampling of chroma can reach


class KeptSamples:
    """Adds what was changed of a frame's pixels to the samples that its carrier holds."""

    def __init__(
        self, upright: ToUpright, from_rgb: FromRgb, conversion: Conversion, pix_fmt: str
    ) -> None:
        """upright: of the source. conversion, pix_fmt: of the output."""
        self._upright, self._from_rgb = upright, from_rgb
        self._format, self._range = VideoFormat(pix_fmt, 16, 16), conversion.range
        self._bits, self._steps = bits_of(self._format), chroma_steps(self._format)
        shift = 16 - self._bits
        scale = YuvScale.of(conversion.range, self._bits)
        fine = YuvScale.of(conversion.range, self._bits, shift=shift)
        self._to_yuv = rgb_to_yuv(conversion.matrix, scale)[:, :3]
        self._to_half_chroma = rgb_to_yuv(conversion.matrix, fine)[1:, :3] / 2
        self._copy, self._scaler = FrameFilter("copy"), VideoReformatter()

    def __call__(self, frame: Frame) -> VideoFrame | None:
        """Returns the frame for the encoder; None: it has to be converted from its pixels, as it
        carries no samples, or others than the output's."""
        carrier = frame.carrier
        if not isinstance(carrier, VideoFrame) or not self._fits(carrier, frame.pixels.shape):
            return None
        before = self._upright.pixels(carrier)
        out = self._writable(carrier, frame.alpha)
        box = changed_box(before, frame.pixels)
        if not box.empty:
            self._add(component_samples(out), before, frame.pixels, box)
        out.pict_type = PictureType.NONE  # else the encoder repeats the source's key frames
        return self._from_rgb.finished(out)

    def _fits(self, carrier: VideoFrame, shape: tuple[int, ...]) -> bool:
        own = carrier.format
        if (carrier.height, carrier.width) != shape[:2] or not (
            has_samples_to_keep(own, deep=True) and has_samples_to_keep(self._format, deep=True)
        ):
            return False
        # Full range is not moved from one depth to another by a shift.
        alike = bits_of(own) == self._bits or self._range == ColorRange.MPEG
        return alike and chroma_steps(own) == self._steps

    def _writable(self, carrier: VideoFrame, alpha: np.ndarray | None) -> VideoFrame:
        if carrier.format.name == self._format.name:
            return self._copy(carrier)
        out = self._scaler.reformat(carrier, format=self._format.name)  # for its side data
        shift = self._bits - bits_of(carrier.format)
        color = component_samples(carrier)[:3]
        write_planes(out, [_shifted(plane, shift) for plane in color], alpha)
        return out

    def _add(
        self, planes: list[np.ndarray], before: np.ndarray, after: np.ndarray, box: Box
    ) -> None:
        box = _on_grid(box, before.shape)
        one, other = (pixels[box.y0 : box.y1, box.x0 : box.x1] for pixels in (before, after))
        change = cv2.subtract(other, one, dtype=cv2.CV_32F) * (WHITE / top_of(before))
        if self._steps == (1, 1):
            self._add_to(planes[:3], cv2.split(cv2.transform(change, self._to_yuv)), box, (1, 1))
            return
        self._add_to(planes[:1], [cv2.transform(change, self._to_yuv[:1])], box, (1, 1))
        self._add_to(planes[1:3], self._chroma(change), box, self._steps)

    def _chroma(self, change: np.ndarray) -> list[np.ndarray]:
        """Both planes of the change, in the size of chroma and the output's depth."""
        zero = 1 << 15
        halves = cv2.split(cv2.transform(change, self._to_half_chroma))
        coded = [cv2.addWeighted(half, 1, half, 0, zero, dtype=cv2.CV_16U) for half in halves]
        scaled = self._from_rgb.deep.subsampled(coded)
        unit = 2.0 / (1 << 16 - self._bits)
        return [(plane.astype(np.float32) - zero) * unit for plane in scaled]

    def _add_to(
        self,
        planes: Sequence[np.ndarray],
        changes: Sequence[np.ndarray],
        box: Box,
        steps: tuple[int, int],
    ) -> None:
        across, down = steps
        rows = slice(box.y0 // down, -(-box.y1 // down))
        columns = slice(box.x0 // across, -(-box.x1 // across))
        for plane, change in zip(planes, changes, strict=True):
            part = plane[rows, columns]
            part[...] = np.clip(part + np.rint(change), 0, 2**self._bits - 1)


def changed_box(before: np.ndarray, after: np.ndarray) -> Box:
    """The smallest box around the pixels that differ; empty: none does. Both (H, W, 3)."""
    width = before.shape[1]
    differs = cv2.absdiff(before, after).reshape(len(before), -1)
    rows = np.flatnonzero(cv2.reduce(differs, 1, cv2.REDUCE_MAX))
    if not len(rows):
        return Box(0, 0, 0, 0)
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(
        cv2.reduce(differs[top:bottom], 0, cv2.REDUCE_MAX).reshape(width, -1).any(axis=1)
    )
    return Box(int(columns[0]), top, int(columns[-1]) + 1, bottom)


def _on_grid(box: Box, shape: tuple[int, ...]) -> Box:
    """The box and what it can reach, in whole steps of the grid, cut at the frame's edges."""
    low = ((side - _REACH) // _GRID * _GRID for side in (box.x0, box.y0))
    high = (-(-(side + _REACH) // _GRID) * _GRID for side in (box.x1, box.y1))
    limits = shape[1], shape[0]
    return Box(
        *(max(0, side) for side in low),
        *(min(side, limit) for side, limit in zip(high, limits, strict=True)),
    )


def _shifted(plane: np.ndarray, shift: int) -> np.ndarray:
    """Samples moved to another depth, rounded; negative: to a lower one."""
    if shift >= 0:
        return plane.astype(np.uint16) << shift
    return rounded_down(plane, -shift)
