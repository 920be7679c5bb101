"""Writes frames and audio that ComfyUI holds in memory to files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame

from latentsync.errors import ConfigError

logger = logging.getLogger(__name__)

NEARLY_LOSSLESS = {"crf": "4", "preset": "veryfast"}
"""Of H.264, for frames that are encoded only to be read again."""
AAC_BITS = 256_000
"""Bits a second."""
BLOCK = 1 << 16
"""Samples that are encoded at once."""
RATES = 1001
"""Largest denominator of a frame rate: 24000/1001."""


def write_frames(
    path: Path, images: torch.Tensor, rate: float | Fraction, audio: Mapping[str, Any] | None = None
) -> None:
    """Writes .mp4. images: (N, H, W, 3 or 4) float RGB [0, 1]. rate: frames a second. audio: see
    write_audio; None: without. Raises ConfigError where there are no frames."""
    if not len(images):
        raise ConfigError("images", "0 of them", "connect the frames of a video")
    logger.warning(
        "%d frames come as images: they take %.2f GB of memory and are encoded once more; a video "
        "from a file costs neither",
        *(len(images), images.nelement() * images.element_size() / 1e9),
    )
    height, width = images.shape[1:3]
    with av.open(str(path), "w") as output:
        shown = output.add_stream(
            "libx264", Fraction(rate).limit_denominator(RATES), options=dict(NEARLY_LOSSLESS)
        )
        shown.width, shown.height = width, height
        shown.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        heard = None if audio is None else _Sound(output, audio, "aac", bit_rate=AAC_BITS)
        for image in images:
            output.mux(shown.encode(_frame(image)))
        output.mux(shown.encode(None))
        if heard is not None:
            heard.write()


def write_audio(path: Path, audio: Mapping[str, Any]) -> None:
    """Writes .wav, sample for sample. audio: waveform (1, C, T) float [-1, 1] and sample_rate.

    Raises ConfigError for a batch of several.
    """
    with av.open(str(path), "w") as output:
        _Sound(output, audio, "pcm_f32le").write()


class _Sound:
    """An audio stream of a file. For audio see write_audio."""

    def __init__(
        self, output: OutputContainer, audio: Mapping[str, Any], codec: str, **options: Any
    ) -> None:
        waveform, self._rate = audio["waveform"], int(audio["sample_rate"])
        if len(waveform) != 1:
            raise ConfigError("audio", f"a batch of {len(waveform)}", "connect a single one")
        self._samples = waveform[0].float().cpu().numpy()
        self._layout = {1: "mono", 2: "stereo"}.get(len(self._samples), f"{len(self._samples)}c")
        stream = output.add_stream(codec, rate=self._rate, layout=self._layout, **options)
        assert isinstance(stream, AudioStream)
        self._output, self._stream = output, stream

    def write(self) -> None:
        for frame in self._frames():
            self._output.mux(self._stream.encode(frame))
        self._output.mux(self._stream.encode(None))

    def _frames(self) -> Iterator[AudioFrame]:
        for start in range(0, self._samples.shape[1], BLOCK):
            block = np.ascontiguousarray(self._samples[:, start : start + BLOCK])
            frame = AudioFrame.from_ndarray(block, format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts = self._rate, start
            yield frame


def _frame(image: torch.Tensor) -> VideoFrame:
    levels = (image[..., :3] * 255).round().clamp(0, 255).byte().cpu().numpy()
    return VideoFrame.from_ndarray(np.ascontiguousarray(levels), format="rgb24")
