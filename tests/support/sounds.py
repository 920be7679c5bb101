"""Made-up audio for tests, and the demo's spoken words: (n,) float32 at 16 kHz."""

from __future__ import annotations

import wave
from functools import cache
from pathlib import Path

import numpy as np

from latentsync.media.audio.reader import read_audio

RATE = 16000
SPOKEN = Path(__file__).parents[2] / "assets" / "demo_speech.wav"
SPEECH = (0.21, 1.34), (1.63, 3.16)
"""Seconds of SPOKEN in which there is speech, to about 0.05."""
CHORDS = (220, 277, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247)  # Hz


@cache
def words() -> np.ndarray:
    """3.5 s: two parts of speech, a pause between them and at both ends."""
    return read_audio(SPOKEN)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=round(seconds * RATE)).astype(np.float32)


def pause(seconds: float) -> np.ndarray:
    """A very quiet room."""
    return 1e-5 * noise(seconds, 9)


def music(seconds: float, loudness: float = 0.1) -> np.ndarray:
    """Two plucked chords a second, each with a drum. loudness: its standard deviation."""
    count = round(seconds * RATE)
    out = np.concatenate([_beat(n) for n in range(1 + 2 * count // RATE)])[:count]
    return (loudness * out / out.std()).astype(np.float32)


def write_audio(path: Path, samples: np.ndarray) -> Path:
    """Writes a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def _beat(number: int) -> np.ndarray:
    """Half a second."""
    time = np.arange(RATE // 2) / RATE
    harmonics = range(1, 7)
    tones = [(f * h, 1 / h) for f in CHORDS[number // 4 % len(CHORDS)] for h in harmonics]
    chord = sum(level * np.sin(2 * np.pi * hertz * time) for hertz, level in tones)
    hiss, kick = 3 * noise(0.5, number), 4 * np.sin(2 * np.pi * 60 * time)
    return chord * np.exp(-2 * time) + hiss * np.exp(-20 * time) + kick * np.exp(-12 * time)
