"""Pixels converted by way of planes equal those of FFmpeg's direct conversion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from latentsync.media.color import _TO_RGB, ColorTags, Conversion, ToRgb

FORMATS = (
    *("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuva420p", "nv12", "gray", "rgb24", "gbrp"),
    *("yuv420p10le", "yuv422p10le", "yuv444p12le", "p010le", "gbrp10le", "rgba"),
)


def _frame(pix_fmt: str, width: int, height: int) -> VideoFrame:
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255).astype(np.uint8)
    return VideoReformatter().reformat(VideoFrame.from_ndarray(noisy, "rgb24"), format=pix_fmt)


def _directly(frame: VideoFrame, how: Conversion, width: int, height: int) -> np.ndarray:
    rgb = VideoReformatter().reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=how.matrix,
        dst_colorspace=how.matrix,
        src_color_range=how.range,
        dst_color_range=ColorRange.JPEG,
        interpolation=_TO_RGB,
    )
    return rgb.to_ndarray()


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_every_format_gives_the_same_pixels_bit_for_bit(pix_fmt: str, matrix: str) -> None:
    how = Conversion.of(ColorTags(matrix=matrix), pix_fmt, 66, 50)
    frame = _frame(pix_fmt, 66, 50)
    pixels = ToRgb(how)(frame, 66, 50)
    assert pixels.std() > 20
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, _directly(frame, how, 66, 50))


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (97, 131)])
def test_a_frame_of_another_size_is_scaled_to_the_same_pixels(size: tuple[int, int]) -> None:
    how = Conversion.of(ColorTags(matrix="bt709"), "yuv420p", *size)
    frame = _frame("yuv420p", 70, 90)
    assert np.array_equal(ToRgb(how)(frame, *size), _directly(frame, how, *size))


def test_pixels_outlive_their_frame() -> None:
    how = Conversion.of(ColorTags(), "yuv420p", 64, 48)
    convert = ToRgb(how)
    pixels = convert(_frame("yuv420p", 64, 48), 64, 48)
    kept = pixels.copy()
    for _ in range(3):
        convert(_frame("gray", 64, 48), 64, 48)
    assert np.array_equal(pixels, kept)
