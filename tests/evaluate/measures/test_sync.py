"""The figures of sync move the right way."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.measures.sync import (
    FIGURES,
    confidence_of_tracks,
    distance_of_tracks,
    measured_sync,
    offset_of_tracks,
)
from latentsync.evaluate.statistics import difference, estimate
from tests.evaluate.sync.curves import embeddings, rows_of

BY_NAME = {figure.name: figure for figure in FIGURES}


@pytest.mark.parametrize("shift", [0, 1, -3, 8])
def test_the_offset_is_that_of_the_audio_positive_where_it_is_early(shift: int) -> None:
    assert offset_of_tracks(rows_of(*embeddings(120, shift))) == shift


def test_worse_sync_is_less_confident_and_farther_by_more_than_its_noise() -> None:
    good = rows_of(*embeddings(200, noise=0.3))
    worse = rows_of(*embeddings(200, noise=0.8))
    seconds = np.arange(200) / 25
    for name, sign in (("sync_confidence", -1), ("sync_distance", 1)):
        one, other = (
            next(part for part in measured_sync(seconds, rows) if part.name == name)
            for rows in (good, worse)
        )
        found = difference(one, other, BY_NAME[name].statistic)
        assert sign * found.value > 0
        assert sign * found.low > 0 and sign * found.high > 0


def test_the_offset_of_several_tracks_is_their_mean_truncated_toward_zero() -> None:
    tracks = [rows_of(*embeddings(100, shift), track=n) for n, shift in enumerate((-3, -2))]
    assert offset_of_tracks(np.concatenate(tracks)) == -2


def test_confidence_and_distance_are_means_of_the_tracks_however_long_they_are() -> None:
    long = rows_of(*embeddings(300, noise=0.3), track=0)
    short = rows_of(*embeddings(50, noise=0.8, seed=1), track=1)
    both = np.concatenate([long, short])
    for figure in (confidence_of_tracks, distance_of_tracks):
        assert figure(both) == pytest.approx((figure(long) + figure(short)) / 2)


def test_a_scrap_of_a_track_does_not_count_beside_a_long_one() -> None:
    long = rows_of(*embeddings(100), track=0)
    scrap = rows_of(*embeddings(100, 9, seed=1), track=1)[:20]
    assert offset_of_tracks(np.concatenate([long, scrap])) == 0
    assert offset_of_tracks(scrap) == 9


def test_without_rows_nothing_is_known() -> None:
    for figure in FIGURES:
        assert np.isnan(figure.statistic(np.empty((0, 32))))


def test_intervals_hold_the_value() -> None:
    rows = rows_of(*embeddings(250, 2, noise=0.6))
    for one in measured_sync(np.arange(250) / 25, rows):
        found = estimate(one, BY_NAME[one.name].statistic)
        assert found.low <= found.value <= found.high
        assert found.high - found.low < 2
