"""What the audio predicts for a mouth, on made-up audio."""

from __future__ import annotations

import numpy as np

from latentsync.speech.acoustic import compute_acoustics
from latentsync.speech.mouth_prediction import SIGNALS, band_levels, mouth_signals

SECONDS = np.arange(32000) / 16000


def tone(hertz: float) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hertz * SECONDS)).astype(np.float32)


def level(samples: np.ndarray) -> float:
    return float(band_levels([samples])[50:150].mean())


def test_the_level_is_of_the_band_in_which_vowels_are() -> None:
    for inside in (500.0, 1500.0, 2500.0):
        for outside in (60.0, 6000.0):
            assert level(tone(inside)) > level(tone(outside)) + 15


def test_ten_times_the_amplitude_is_20_db() -> None:
    assert abs(level(tone(1000)) - level(tone(1000) / 10) - 20) < 0.1


def test_there_are_signals_for_every_instant_of_the_acoustics_in_their_order() -> None:
    samples = tone(700) * (SECONDS % 0.5 > 0.2)
    acoustics = compute_acoustics([samples])
    signals = mouth_signals([samples], acoustics)
    assert signals.shape == (len(acoustics.speech), len(SIGNALS))
    np.testing.assert_allclose(signals[10:-10, 0].max(), band_levels([samples]).max(), atol=0.5)
    assert np.isfinite(signals).all() and (signals.std(axis=0) > 0).all()


def test_silence_is_no_more_than_40_db_below_the_loud_parts() -> None:
    samples = tone(700) * (SECONDS < 1)
    signals = mouth_signals([samples], compute_acoustics([samples]))
    assert 35 < np.ptp(signals[:, 0]) < 45
