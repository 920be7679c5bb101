"""What a mouth probably does while a recording is spoken, whoever speaks.

To compare mouths with the audio: a linear map from cepstra to the mouth, the same for all speakers.
Its numbers are in mouth_prediction.json: a ridge regression over people who were filmed while they
speak, in which each person's signals have mean 0 and spread 1. A regression that is fitted to one
person predicts that person better; this one needs no footage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from latentsync.speech.acoustic import FEATURES, Acoustics
from latentsync.speech.mel import N_MELS, Extent, measure, mel_filters, segments

SIGNALS = ("level", "aperture", "width", "activity")
"""level: of the audio, 300 to 3000 Hz. activity: how much the mouth looks like one that speaks."""
PER_SECOND = 100
BAND = (300.0, 3000.0)  # Hz
RANGE = 40.0
"""dB below the loud parts at which the level is cut off."""

_FILE = Path(__file__).with_name("mouth_prediction.json")
_AT_ONCE = 3000  # instants


def mouth_signals(
    blocks: Iterable[np.ndarray], acoustics: Acoustics, extent: Extent | None = None
) -> np.ndarray:
    """blocks: as for compute_acoustics, whose result is `acoustics` -> (T, 4) float32, SIGNALS.

    100 instants a second; T as in acoustics.speech. The level is in dB, the scale of the others is
    arbitrary. Raises ValueError: no samples.
    """
    levels = band_levels(blocks, extent)
    loud = float(np.percentile(levels, 98)) if len(levels) else 0.0
    signals = np.empty((len(levels), len(SIGNALS)), np.float32)
    signals[:, 0] = np.maximum(levels, loud - RANGE)
    for start in range(0, len(levels), _AT_ONCE):
        seconds = np.arange(start, min(start + _AT_ONCE, len(levels))) / PER_SECOND
        signals[start : start + len(seconds), 1:] = acoustics.around(seconds) @ _map()
    return signals


def band_levels(blocks: Iterable[np.ndarray], extent: Extent | None = None) -> np.ndarray:
    """blocks: as for compute_acoustics -> (T,) dB of the energy in BAND, 100 a second.

    Raises ValueError: no samples.
    """
    extent = measure(blocks) if extent is None else extent
    chosen = _filters_in_band()
    levels = [
        10 * np.log10((10.0 ** (4 * part.numpy()[chosen] - 4)).sum(axis=0))
        for part in segments(blocks, extent)
    ]
    return np.concatenate(levels)


def _filters_in_band() -> np.ndarray:
    """(80,) bool: the mel filters whose peak is in the band."""
    filters = mel_filters().numpy()
    peaks = filters.argmax(axis=1) * 8000 / (filters.shape[1] - 1)
    inside: np.ndarray = (peaks >= BAND[0]) & (peaks <= BAND[1])
    assert inside.shape == (N_MELS,)
    return inside


@cache
def _map() -> np.ndarray:
    """(FEATURES, 3) float32."""
    numbers = json.loads(_FILE.read_text("utf-8"))
    return np.array([numbers[name] for name in SIGNALS[1:]], np.float32).T.reshape(FEATURES, -1)
