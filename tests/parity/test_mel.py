"""The mel spectrogram for StableSyncNet equals the original's, made with librosa 0.10.1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latentsync.speech.mel import slaney_filters
from latentsync.speech.sync_mel import N_FFT, N_MELS, sync_mel, sync_mel_of_blocks

KIND = "mel"
TOLERANCE = 1e-5  # of values up to 4; 2.4e-7 is seen


@pytest.fixture
def golden(golden_file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(golden_file) as file:
        yield file


def test_the_filters_are_the_original_s(golden: np.lib.npyio.NpzFile) -> None:
    computed = slaney_filters(N_MELS, N_FFT, 55.0, 7600.0)
    np.testing.assert_allclose(computed, golden["filters"], rtol=0, atol=TOLERANCE / 10)


def test_the_spectrogram_is_the_original_s(golden: np.lib.npyio.NpzFile) -> None:
    computed = sync_mel(golden["wave"] / np.float32(32767))
    assert computed.shape == golden["mel"].shape
    np.testing.assert_allclose(computed, golden["mel"], rtol=0, atol=TOLERANCE)


def test_blocks_do_not_show(golden: np.lib.npyio.NpzFile) -> None:
    wave = np.tile(golden["wave"] / np.float32(32767), 40)  # more than is computed at once
    in_blocks = sync_mel_of_blocks(np.array_split(wave, 7))
    np.testing.assert_allclose(in_blocks, sync_mel(wave), rtol=0, atol=1e-6)
