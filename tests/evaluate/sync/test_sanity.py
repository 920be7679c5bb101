"""Distances that no trained SyncNet gives are refused; plausible ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import CheckpointError
from latentsync.evaluate.sync.distances import mean_curve, offset
from latentsync.evaluate.sync.sanity import check_distances, complaint_about
from tests.evaluate.sync.curves import embeddings, rows_of

GOLDEN = Path(__file__).parents[2] / "parity" / "golden" / "syncnet_eval.npz"
FILE = Path("syncnet_v2.model")


def blind(level: float) -> np.ndarray:
    """Of a network for which all lips are nearly the same, and all audio: a vector of its own each,
    and 1 % of noise."""
    generator = np.random.default_rng(1)
    lips, audio = (
        level * (5 * generator.standard_normal(64) + 0.05 * generator.standard_normal((90, 64)))
        for _ in range(2)
    )
    return rows_of(lips, audio)


def test_a_network_that_tells_no_moment_from_another_is_refused() -> None:
    rows = blind(0.2)
    assert abs(offset(mean_curve(rows[:, :31]))) == 15  # as untrained networks have it
    with pytest.raises(CheckpointError, match=r"syncnet_v2.model: offset .15 .* differ by only"):
        check_distances(rows, FILE)


def test_distances_far_from_the_published_ones_are_refused() -> None:
    rows = rows_of(*embeddings(90, level=40))
    with pytest.raises(CheckpointError, match="SyncNet's are 5 to 16"):
        check_distances(rows, FILE)


def test_rule_made_weights_are_refused() -> None:
    """Embeddings of real lips and audio by the original network with such weights."""
    with np.load(GOLDEN) as golden:
        lips, audio = golden["lip_embed"], golden["audio_embed"]
        assert complaint_about(rows_of(lips, audio))
        small = rows_of(lips / 60, audio / 60)  # in the range of the published distances
        assert "differ by only" in complaint_about(small)


@pytest.mark.parametrize("shift", [0, -1, 5, 14])
@pytest.mark.parametrize("noise", [0.3, 3.0])  # in sync, and not at all
def test_plausible_distances_are_accepted(shift: int, noise: float) -> None:
    check_distances(rows_of(*embeddings(90, shift, noise=noise, level=0.8)), FILE)


def test_the_golden_pair_with_a_true_shift_is_accepted() -> None:
    with np.load(GOLDEN) as golden:
        check_distances(rows_of(golden["pair_video"], golden["pair_audio"]), FILE)


def test_audio_that_is_mostly_silent_is_no_fault_of_the_network() -> None:
    lips, audio = embeddings(200, level=0.8)
    audio[60:] = audio[60]  # silence: the same embedding again and again
    check_distances(rows_of(lips, audio), FILE)
