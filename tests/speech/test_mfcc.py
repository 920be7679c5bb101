"""MFCC of audio in blocks; that they are the original's is proven in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.speech import mfcc as module
from latentsync.speech.mfcc import CEPSTRA, mfcc, mfcc_of_blocks

RNG = np.random.default_rng(4)


def noise(samples: int) -> np.ndarray:
    return np.rint(RNG.normal(0, 3000, samples)).clip(-32768, 32767) / np.float32(32768)


@pytest.mark.parametrize("samples", [1, 160, 399, 400, 401, 560, 561, 7000])
@pytest.mark.parametrize("block", [37, 160, 5000])
def test_the_result_does_not_depend_on_the_blocks(
    samples: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 4)
    audio = noise(samples).astype(np.float32)
    whole = mfcc(audio.astype(np.float64) * 32768)
    blocks = (audio[start : start + block] for start in range(0, samples, block))
    np.testing.assert_allclose(mfcc_of_blocks(blocks), whole, rtol=1e-5, atol=1e-5)


def test_there_is_a_row_every_10_ms_and_one_for_the_rest() -> None:
    for samples, rows in ((1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (16000, 99)):
        assert mfcc(noise(samples)).shape == (rows, CEPSTRA)


def test_no_sample_gives_no_row() -> None:
    assert mfcc_of_blocks([]).shape == (0, CEPSTRA)


def test_digital_silence_is_finite_and_quieter_than_anything() -> None:
    silent = mfcc(np.zeros(800))
    assert np.isfinite(silent).all()
    assert silent[0, 0] < mfcc(noise(800) * 32768)[0, 0] - 20
