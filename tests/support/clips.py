"""Small clips for training: square frames that each show their own number, and audio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from tests.support.media_factory import Tone, make_video

SIDE = 32
_STEP = 4  # code values from one frame to the next


def numbered(count: int, side: int = SIDE) -> Iterator[np.ndarray]:
    """(side, side, 3) uint8: flat grey of 8 + 4 n (at most 60 frames)."""
    for number in range(count):
        yield np.full((side, side, 3), 8 + _STEP * number, np.uint8)


def numbers(faces: np.ndarray) -> list[int]:
    """(F, 3, H, W) [-1, 1] -> which frames of the clip they are."""
    grey = (faces.mean(axis=(1, 2, 3)) + 1) * 127.5
    return [round(float(value - 8) / _STEP) for value in grey]


def make_clip(path: Path, count: int = 60, *, side: int = SIDE, hertz: float = 300.0) -> Path:
    """25 frames a second, one key frame, audio of the same length."""
    tone = Tone(count / 25, hertz, rate=16000)
    return make_video(path, numbered(count, side), audio=[tone])


def make_clips(folder: Path, count: int = 3) -> list[Path]:
    """Of different content."""
    return [make_clip(folder / f"clip{n}.mp4", hertz=200.0 + 50 * n) for n in range(count)]


def with_audio(source: Path, target: Path, samples: np.ndarray) -> Path:
    """The video of the source, as it is, with other audio: (n,) float32 mono at 16 kHz, [-1, 1]."""
    with av.open(str(source)) as read, av.open(str(target), "w") as output:
        video = output.add_stream_from_template(read.streams.video[0])
        audio = output.add_stream("alac", rate=16000, layout="mono")
        assert isinstance(audio, AudioStream)
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                output.mux(packet)
        levels = np.round(samples * 32767).astype(np.int16)[None]
        for start in range(0, levels.shape[1], 4096):
            piece = np.ascontiguousarray(levels[:, start : start + 4096])
            frame = av.AudioFrame.from_ndarray(piece, format="s16p", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    return target
