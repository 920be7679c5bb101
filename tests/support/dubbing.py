"""Videos given new audio, for tests."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.writer import VideoWriter
from tests.support.media_factory import Tone, make_video, moving_pattern

QUICK = EncodeSettings(preset="ultrafast")
FRAME = 0.04  # seconds
CLICK = 0.5  # seconds


def two_track_video(folder: Path, *, seconds: float = 1.0, suffix: str = ".mp4") -> Path:
    """A video with two audio tracks of 200 Hz."""
    tones = [Tone(seconds, hertz=200), Tone(seconds, hertz=200)]
    frames = moving_pattern(count=round(seconds / FRAME))
    return make_video(folder / f"video{suffix}", frames, options={"preset": "fast"}, audio=tones)


def dubbed(
    source: Path, target: Path, audio: Path, seconds: float | None = None, *, stretch: float = 1.0
) -> Path:
    reader, new = VideoReader(source), NewAudio(audio, seconds, stretch=stretch)
    with VideoWriter(target, reader.info, QUICK, audio=new) as writer:
        for frame in reader:
            writer.write(frame)
    return target


def write_wav(
    path: Path, *, seconds: float = 1.0, rate: int = 48000, channels: int = 2, click: float = CLICK
) -> Path:
    """Silence with a click of two milliseconds."""
    samples = np.zeros((round(seconds * rate), channels), np.int16)
    samples[round(click * rate) : round((click + 0.002) * rate)] = 25000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path
