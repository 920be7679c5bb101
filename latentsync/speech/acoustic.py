"""Acoustic features around each instant of a recording, to compare recordings of speech.

The shape of the mouth shows in the coarse shape of the spectrum: a few cepstra of the log-mel
spectrogram and their slopes. They are normalised by their mean and spread over the recording's
speech, so that neither microphone nor loudness matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from latentsync.speech.mel import N_MELS, Extent, measure, segments
from latentsync.speech.voice_activity import PER_SECOND, find_speech, speech_probabilities

CEPSTRA = 16
HALF_WEIGHT = 6.0
"""Cepstrum with half the weight of the first. Cross-validated on a real speaker, half weights at 3
to 8 and 10 to 40 cepstra predict the lip opening about equally well (r 0.66 to 0.68); without
weights it depends on their number: 8 r 0.72, 13 r 0.63, 80 r 0.49."""
CHANGE_WEIGHT = 0.5
CHANGE_REACH = 3  # mel frames either side that the slope is fitted to
CONTEXT = tuple(round(0.04 * step, 2) for step in range(-4, 5))
"""Seconds around an instant that are used: lips move before and after the audible speech."""

FEATURES = 2 * CEPSTRA * len(CONTEXT)

CLOSING = 0.04  # seconds before a pause from which it counts as one
_FAINTEST = 1e-5  # lower limit of a cepstrum's spread, for digital silence


@dataclass(frozen=True, slots=True, eq=False)
class Acoustics:
    """One recording, 100 instants a second; 130 bytes each, 47 MB for an hour.

    cepstra: (T, 2 * CEPSTRA) float32, shape of the spectrum and its slope; mean 0 and spread 1
        over the speech, times their weights. speech: (T,) bool, False in pauses of 0.2 s or more.
    """

    cepstra: np.ndarray
    speech: np.ndarray

    @property
    def speech_seconds(self) -> float:
        """Length of the speech in the recording, without pauses of 0.2 s and more."""
        return float(self.speech.sum()) / PER_SECOND

    def around(self, seconds: np.ndarray) -> np.ndarray:
        """seconds: (N,) float -> (N, FEATURES) float32; both ends are extended.

        1.2 kB each: for an hour of video, call it in parts.
        """
        places = (np.asarray(seconds)[:, None] + CONTEXT) * PER_SECOND
        places = places.clip(0, len(self.cepstra) - 1)
        before = places.astype(np.int64)
        share = (places - before).astype(np.float32)[..., None]
        after = (before + 1).clip(max=len(self.cepstra) - 1)
        between = self.cepstra[before] * (1 - share) + self.cepstra[after] * share
        return between.reshape(len(places), FEATURES)

    def silent(self, seconds: np.ndarray) -> np.ndarray:
        """seconds: (N,) float -> (N,) bool: in a pause, or before or after the recording.

        A pause begins CLOSING earlier: lips that close exactly at its start look late.
        """
        return ~(self._spoken(seconds) & self._spoken(np.asarray(seconds) + CLOSING))

    def _spoken(self, seconds: np.ndarray) -> np.ndarray:
        places = np.floor(np.asarray(seconds) * PER_SECOND + 1e-6).astype(np.int64)
        inside = (places >= 0) & (places < len(self.speech))
        return inside & self.speech[places.clip(0, len(self.speech) - 1)]


def compute_acoustics(blocks: Iterable[np.ndarray], extent: Extent | None = None) -> Acoustics:
    """blocks: each iteration yields the whole audio: (n,) float32 mono at 16 kHz, [-1, 1].

    extent: the result of mel.measure, if known; otherwise it is measured in a first pass. Raises
    ValueError: no samples; CheckpointError: the network that finds speech is not installed.
    """
    extent = measure(blocks) if extent is None else extent
    basis = _cosines(N_MELS, CEPSTRA)
    cepstra: list[np.ndarray] = []
    levels: list[np.ndarray] = []
    for spectrogram in segments(blocks, extent):
        decades = _decades(spectrogram)
        cepstra.append(decades @ basis)
        levels.append(_levels(decades))
    speech = find_speech(speech_probabilities(blocks, extent.peak), np.concatenate(levels))
    return Acoustics(_normalised(np.concatenate(cepstra), speech), speech)


def detect_speech(blocks: Iterable[np.ndarray], extent: Extent | None = None) -> np.ndarray:
    """(T,) bool: Acoustics.speech alone, 0.4 MB for an hour. As compute_acoustics() otherwise."""
    extent = measure(blocks) if extent is None else extent
    levels = [_levels(_decades(spectrogram)) for spectrogram in segments(blocks, extent)]
    return find_speech(speech_probabilities(blocks, extent.peak), np.concatenate(levels))


def _decades(spectrogram: Tensor) -> np.ndarray:
    """(80, m) of mel.segments -> (m, 80) float32: log10 energies."""
    return np.asarray(4 * spectrogram.numpy().T - 4)


def _levels(decades: np.ndarray) -> np.ndarray:
    """(m, 80) -> (m,) dB."""
    return np.asarray(10 * np.log10((10.0**decades).sum(axis=1)))


def _normalised(cepstra: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """(T, C) -> (T, 2 C) float32: centred, scaled and weighted, with their slopes."""
    both = np.concatenate([cepstra, _slope(cepstra)], axis=1)
    spoken = both[speech] if speech.any() else both
    mean = spoken.mean(axis=0, dtype=np.float64)
    spread = np.maximum(spoken.std(axis=0, dtype=np.float64), _FAINTEST)
    weight = 1 / (1 + (np.arange(CEPSTRA) / HALF_WEIGHT) ** 2)
    weights = np.concatenate([weight, CHANGE_WEIGHT * weight])
    both -= mean.astype(np.float32)
    both *= (weights / spread).astype(np.float32)
    return both


def _slope(values: np.ndarray) -> np.ndarray:
    """(T, C) -> the same: change per frame, least squares over the neighbours."""
    reach = np.arange(-CHANGE_REACH, CHANGE_REACH + 1)
    padded = np.pad(values, ((CHANGE_REACH, CHANGE_REACH), (0, 0)), mode="edge")
    count = len(values)
    shifted = (int(step) * padded[CHANGE_REACH + step :][:count] for step in reach)
    return sum(shifted, np.zeros_like(values)) / float((reach**2).sum())


def _cosines(size: int, count: int) -> np.ndarray:
    """(size, count) float32: the first cosines of the DCT-II; their scale does not matter here."""
    steps = (np.arange(size)[:, None] + 0.5) * np.arange(count)
    return (np.cos(np.pi / size * steps) * np.sqrt(2 / size)).astype(np.float32)
