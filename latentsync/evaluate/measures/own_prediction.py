"""What a speaker's own lips would do with a speech: a regression fitted to lips and audio."""

from __future__ import annotations

import numpy as np

from latentsync.evaluate.measures.lip_trace import LipTrace
from latentsync.generate.replay.lips import fit_lips
from latentsync.speech.acoustic import Acoustics

FITTED = 150
"""Frames with speech to which it is fitted, at least: 6 s. After 5 s, two of 26 other people's
speeches were followed as well as the own."""
_AT_ONCE = 1500  # frames whose features are computed at once


def own_prediction(
    source: LipTrace, recorded: Acoustics, heard: Acoustics, seconds: np.ndarray
) -> np.ndarray | None:
    """(N, 2) aperture and width at the seconds, of lips that say what is heard.

    source: the lips of the source, recorded: its audio. heard: another audio, or the same object:
    then each moment is predicted without it. None: there is too little to fit to, or these lips
    hardly follow their audio.
    """
    source = source.thinned()
    chosen = np.flatnonzero(source.spoken)
    if len(chosen) < FITTED:
        return None
    times = source.seconds[chosen]
    regression = fit_lips(recorded.around(times), source.shapes[chosen], times)
    if regression.low_confidence:
        return None
    parts = np.split(seconds, range(_AT_ONCE, len(seconds), _AT_ONCE))
    return np.concatenate(
        [
            regression.expected(heard.around(part), part if heard is recorded else None)
            for part in parts
        ]
    )
