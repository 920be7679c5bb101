"""The demo clips: what is said, how the head moves, and how the mouth is softened."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from scripts.demo_assets.face import Pose, TalkingFace
from scripts.demo_assets.portrait import load_portrait
from scripts.demo_assets.speech import (
    FPS,
    openness,
    read_wave,
    resample,
    roundness,
    speak,
    write_wave,
)
from scripts.demo_assets.video import soften, write_video

SPOKEN = "Hello. Watch my mouth while I speak, and look at what comes back."
OTHER_WORDS = "These are other words, spoken for another film."
STORY = (
    "Good morning, and thank you for joining us. "
    "Today we visit a small harbour on the northern coast. "
    "Five fishing boats left before dawn, and every one of them came home with full nets. "
    "The people here say that the sea was never so calm. Why would they ever want to move away?"
)
"""Speech with all sounds of the language, from which replay selects the units."""
AUDIO_RATE, SPEECH_RATE = 44_100, 16_000
LEAD_SECONDS, TAIL_SECONDS = 0.2, 0.32
BLINKS = (31, 92, 168, 251, 330, 402)
"""Frames in which the eyes are shut."""


def make_clips(folder: Path, *, crf: int) -> None:
    """Writes the videos, and the speech of its own that one of them goes with."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = _speech(SPOKEN, AUDIO_RATE)
    write_wave(folder / "demo_speech.wav", _speech(OTHER_WORDS, SPEECH_RATE), SPEECH_RATE)
    face = TalkingFace(load_portrait())
    story = _speech(STORY, AUDIO_RATE)
    speaker = [face.render(pose) for pose in _poses(story, len(story) * FPS // AUDIO_RATE)]
    _write(folder / "demo_speaker.mp4", speaker, story, crf=crf)
    poses = _poses(speech, len(speech) * FPS // AUDIO_RATE)
    sharp = [face.render(pose) for pose in poses]
    soft = [
        soften(pixels, face.lower_face(pose)) for pixels, pose in zip(sharp, poses, strict=True)
    ]
    for name, frames in (("demo_talking.mp4", sharp), ("demo_lipsynced.mp4", soft)):
        _write(folder / name, frames, speech, crf=crf)


def _write(path: Path, frames: list[np.ndarray], speech: np.ndarray, *, crf: int) -> None:
    write_video(path, frames, speech, rate=AUDIO_RATE, crf=crf)
    print(f"{path}: {len(frames)} frames, {path.stat().st_size / 1000:.0f} kB")


def _speech(text: str, rate: int) -> np.ndarray:
    """The spoken text with silence before and after: (N,) float [-1, 1], whole video frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        speak(text, path)
        samples, spoken_rate = read_wave(path)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    samples = resample(samples[loud[0] : loud[-1] + 1], spoken_rate, rate)
    padded = np.pad(samples, (round(LEAD_SECONDS * rate), round(TAIL_SECONDS * rate)))
    frames = -(-len(padded) * FPS // rate)
    return np.pad(padded, (0, frames * rate // FPS - len(padded)))


def _poses(speech: np.ndarray, frames: int) -> list[Pose]:
    """Mouth from the speech; head and camera from slow waves with unrelated periods."""
    opening = openness(speech, AUDIO_RATE, frames)
    rounding = roundness(speech, AUDIO_RATE, frames)
    time = np.arange(frames) / FPS
    nod = np.convolve(opening, np.ones(9) / 9, mode="same")
    return [
        Pose(
            opening=float(opening[i]),
            rounding=float(rounding[i]),
            blink=_blink(i),
            turn=2.6 * np.sin(2 * np.pi * t / 3.1) + 0.8 * np.sin(2 * np.pi * t / 1.3),
            shift_x=5.0 * np.sin(2 * np.pi * t / 2.7 + 0.6),
            shift_y=2.5 * np.sin(2 * np.pi * t / 1.9) + 5.0 * (nod[i] - 0.4),
            zoom=1.0 + 0.035 * t / time[-1],
            camera_x=4.0 * np.sin(2 * np.pi * t / 5.3),
            camera_y=2.0 * np.sin(2 * np.pi * t / 4.1),
        )
        for i, t in enumerate(time.tolist())
    ]


def _blink(frame: int) -> float:
    """Shut within two frames, open again within three."""
    near = min((frame - shut for shut in BLINKS), key=abs)
    return max(0.0, 1.0 - abs(near) / (2.0 if near < 0 else 3.0))
