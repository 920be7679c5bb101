"""The MFCC equal those of python_speech_features, with silence in the audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.speech.mfcc import mfcc

KIND = "mfcc"
TOLERANCE = 1e-9  # float64 throughout; 8e-13 is seen


def test_mfcc_equal_the_original_s(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        computed = mfcc(golden["wave"])
        assert computed.shape == golden["mfcc"].shape
        np.testing.assert_allclose(computed, golden["mfcc"], rtol=0, atol=TOLERANCE)
