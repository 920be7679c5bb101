"""Softens the lower face as a lip-sync generator does, and writes the video."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from scripts.demo_assets.speech import FPS

SHRINK = 2.0
"""Video pixels per pixel of the softened region: a generator at half the resolution."""
BLUR = 1.6
"""Gaussian sigma in video pixels: the softness a decoder adds beyond the loss of resolution."""


def soften(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB -> same. mask: (H, W) float [0, 1], 1 where it is softened."""
    height, width = pixels.shape[:2]
    small = (round(width / SHRINK), round(height / SHRINK))
    soft = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(soft, (0, 0), BLUR).astype(np.float32)
    mixed = pixels + (soft - pixels) * mask[..., None]
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def write_video(
    path: Path, frames: Iterable[np.ndarray], speech: np.ndarray, *, rate: int, crf: int
) -> None:
    """frames: (H, W, 3) uint8 RGB at 25 fps. speech: (N,) float [-1, 1] at ``rate`` Hz.

    H.264 and AAC, converted to and tagged as bt709 limited range. One thread, so that the bytes do
    not depend on the number of cores.
    """
    frames = list(frames)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = _video_stream(container, frames[0].shape, crf)
        audio = container.add_stream("aac", rate=rate, layout="mono")
        audio.bit_rate = 64_000
        for index, pixels in enumerate(frames):
            container.mux(video.encode(_video_frame(pixels, index)))
        container.mux(video.encode())
        for frame in _audio_frames(speech, rate):
            container.mux(audio.encode(frame))
        container.mux(audio.encode())


def _video_stream(
    container: av.container.OutputContainer, shape: tuple[int, ...], crf: int
) -> av.VideoStream:
    options = {"crf": str(crf), "preset": "veryslow", "threads": "1"}
    stream = container.add_stream("libx264", rate=FPS, options=options)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries = context.color_trc = 1
    return stream


def _video_frame(pixels: np.ndarray, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    frame.pts, frame.time_base = index, Fraction(1, FPS)
    return frame


def _audio_frames(speech: np.ndarray, rate: int, size: int = 1024) -> Iterable[av.AudioFrame]:
    for start in range(0, len(speech), size):
        part = speech[None, start : start + size].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame
