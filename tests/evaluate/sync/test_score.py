"""The distances of a whole video, computed as its frames pass, are those of all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.evaluate.sync.distances import distances, padded
from latentsync.evaluate.sync.networks import WINDOWS
from latentsync.evaluate.sync.score import SyncScore
from latentsync.evaluate.sync.tracks import FaceTrack
from latentsync.models.syncnet import CEPSTRA, EMBEDDING

BOX = np.array([20.0, 20.0, 44.0, 44.0])


class Summing:
    """Embeds lips by the brightness of the window's five crops, audio by its cepstra."""

    path = Path("none")

    def lips(self, crops: np.ndarray) -> np.ndarray:
        assert len(crops) <= WINDOWS + 4  # all that are held
        levels = crops.astype(np.float64).mean(axis=(1, 2, 3))
        return spread(np.convolve(levels, np.ones(5), mode="valid"))

    def audio(self, cepstra: np.ndarray) -> np.ndarray:
        assert len(cepstra) <= 4 * WINDOWS + 16
        return spread(np.convolve(cepstra[:, 0], np.ones(20), mode="valid")[::4])


def spread(values: np.ndarray) -> np.ndarray:
    """(n,) -> (n, EMBEDDING) float32: different in each component."""
    return np.sin(values[:, None] * np.linspace(0.1, 2, EMBEDDING)).astype(np.float32)


@pytest.fixture(scope="module")
def cepstra() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((600, CEPSTRA))


def frame(instant: int) -> np.ndarray:
    return np.full((64, 64, 3), (instant * 37) % 251, np.uint8)


def scored(tracks: list[FaceTrack], cepstra: np.ndarray, instants: int) -> SyncScore:
    score = SyncScore(tracks, cepstra, Summing())
    for instant in range(instants):
        if score.wants(instant):
            score.add(frame(instant), instant)
    return score


def track(start: int, count: int) -> FaceTrack:
    return FaceTrack(start, np.tile(BOX, (count, 1)))


def expected(start: int, count: int, cepstra: np.ndarray) -> np.ndarray:
    """As upstream has it: windows that start at each frame but the last five."""
    levels = np.array([frame(start + i).mean() for i in range(count)])
    lips = spread(np.convolve(levels, np.ones(5), mode="valid"))[: count - 5]
    rows = cepstra[4 * start : 4 * (start + count)]
    audio = spread(np.convolve(rows[:, 0], np.ones(20), mode="valid")[::4])[: count - 5]
    return distances(lips, padded(audio))


@pytest.mark.parametrize("count", [52, 4 + WINDOWS * 3, 80])
def test_the_blocks_in_which_windows_are_embedded_do_not_show(
    cepstra: np.ndarray, count: int
) -> None:
    found = scored([track(7, count)], cepstra, 100).result()
    assert found.rows.shape == (count - 5, 32)
    np.testing.assert_allclose(found.rows[:, :31], expected(7, count, cepstra), atol=1e-4)


def test_a_window_is_timed_by_its_middle_frame(cepstra: np.ndarray) -> None:
    found = scored([track(10, 60)], cepstra, 100).result()
    np.testing.assert_allclose(found.seconds, (12 + np.arange(55)) / 25)


def test_tracks_at_the_same_time_are_each_compared_with_their_own_part_of_the_audio(
    cepstra: np.ndarray,
) -> None:
    found = scored([track(0, 60), track(30, 55)], cepstra, 100).result()
    assert (np.diff(found.seconds) >= 0).all()
    for number, (start, count) in enumerate([(0, 60), (30, 55)]):
        rows = found.rows[found.rows[:, 31] == number, :31]
        np.testing.assert_allclose(rows, expected(start, count, cepstra), atol=1e-4)


@pytest.mark.parametrize(("rows", "frames"), [(186, 46), (187, 47), (190, 47), (191, 48)])
def test_windows_end_with_the_audio(cepstra: np.ndarray, rows: int, frames: int) -> None:
    """Cepstra of n samples are 1 + ceil((n - 400) / 160), whole frames of audio n // 640."""
    found = scored([track(0, 90)], cepstra[:rows], 100).result()
    assert len(found.rows) == frames - 5


def test_a_track_after_the_audio_has_no_windows(cepstra: np.ndarray) -> None:
    score = scored([track(60, 60)], cepstra[:200], 130)
    assert score.windows == 0
    assert score.result().rows.shape == (0, 32)
