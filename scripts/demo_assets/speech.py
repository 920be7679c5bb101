"""Speech from espeak-ng, and the mouth opening computed from it."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np

FPS = 25
VOICE = "en-us+f3"
WORDS_PER_MINUTE = "150"


def speak(text: str, target: Path) -> None:
    """Writes the spoken text to target (WAV, 22050 Hz, mono, 16 bit)."""
    command = ["espeak-ng", "-v", VOICE, "-s", WORDS_PER_MINUTE, "-w", str(target), text]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        raise SystemExit("espeak-ng is not installed: apt-get install espeak-ng") from None


def read_wave(path: Path) -> tuple[np.ndarray, int]:
    """-> samples (N,) float32 in [-1, 1], and the sample rate in Hz."""
    with wave.open(str(path)) as file:
        raw, rate = file.readframes(file.getnframes()), file.getframerate()
    return np.frombuffer(raw, dtype="<i2").astype(np.float32) / 32768, rate


def write_wave(path: Path, samples: np.ndarray, rate: int) -> None:
    """samples: (N,) float in [-1, 1], mono -> 16 bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples.clip(-1, 1) * 32767).astype("<i2").tobytes())


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Band-limited by cutting the spectrum: exact for a clip of a few seconds."""
    count = round(len(samples) * new_rate / rate)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(count // 2 + 1, dtype=spectrum.dtype)
    kept[: min(len(kept), len(spectrum))] = spectrum[: len(kept)]
    return np.fft.irfft(kept, count) * (count / len(samples))


def openness(samples: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """-> (frames,) in [0, 1]: loudness of each video frame, compressed and lightly smoothed."""
    loudness = np.sqrt(np.mean(_windows(samples, rate, frames) ** 2, axis=1))
    top = np.percentile(loudness, 95)
    return _smooth(np.clip(loudness / top, 0, 1) ** 0.7, sigma=0.7)


def roundness(samples: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """-> (frames,) in [0, 1]: 1 where the speech sounds dark (oo, o), 0 where bright (ee, s)."""
    windows = _windows(samples, rate, frames)
    power = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), axis=1)) ** 2
    frequencies = np.fft.rfftfreq(windows.shape[1], 1 / rate)
    centroid = (power @ frequencies) / (power.sum(axis=1) + 1e-9)
    return _smooth(np.clip((1400 - centroid) / 900, 0, 1), sigma=1.5)


def _windows(samples: np.ndarray, rate: int, frames: int) -> np.ndarray:
    hop = rate // FPS
    padded = np.zeros((frames + 1) * hop, dtype=np.float64)
    count = min(len(samples), len(padded) - hop // 2)
    padded[hop // 2 : hop // 2 + count] = samples[:count]
    return np.stack([padded[i * hop : i * hop + 2 * hop] for i in range(frames)])


def _smooth(values: np.ndarray, *, sigma: float) -> np.ndarray:
    reach = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(values, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
