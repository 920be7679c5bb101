"""Engines, and a short video and speech, for tests of sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync import Engine, load_config
from latentsync.media.reader import VideoReader
from tests.support.media_factory import Tone, make_audio, make_video

ASSETS = Path(__file__).parents[2] / "assets"
SOFT = "generate.name=tests.support.soft_mouths:load"
FRAMES = 16
# The speech is a tone. Hands are looked for in every frame, which takes a third of pass 1.
COMMON = ("data.resolution=256", "generate.silence=model", "face.occlusion=off")


def engine(*settings: str) -> Engine:
    return Engine(load_config(None, [*COMMON, *settings]))


def sharp_video(folder: Path, count: int = FRAMES) -> Path:
    """A person who talks, sharp. count: of its frames."""
    reader = VideoReader(ASSETS / "demo_talking.mp4", start=20, stop=20 + count)
    frames = [np.ascontiguousarray(frame.pixels[90:430, 140:500]) for frame in reader]
    return make_video(folder / "video.mp4", frames, options={"crf": "8"}, audio=[Tone(count / 25)])


def tone_as_speech(folder: Path) -> Path:
    """1.2 s: longer than the video, and two chunks of frames."""
    return make_audio(folder / "speech.wav", Tone(1.2, codec="pcm_s16le", rate=16000))
