"""The noise of figures: intervals hold the truth, and two results of one video are compared."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.statistics import (
    Measured,
    correlation,
    difference,
    estimate,
    mean,
    over_time,
    ratio_of_sums,
)

SECONDS = np.arange(0, 20, 0.04)


def measured(*columns: np.ndarray) -> Measured:
    return Measured("made_up", SECONDS, np.stack(columns, axis=1))


def slow_noise(seed: int) -> np.ndarray:
    """Neighbouring values are alike, as of frames."""
    noise = np.random.default_rng(seed).standard_normal(len(SECONDS) + 24)
    return np.convolve(noise, np.full(25, 0.2), mode="valid")


def test_the_interval_holds_the_truth_although_neighbouring_frames_are_alike() -> None:
    held = 0
    for seed in range(100):
        found = estimate(measured(3 + slow_noise(seed)), mean)
        held += found.low <= 3 <= found.high
    assert held >= 80


def test_what_varies_with_the_video_cancels_out_of_a_comparison() -> None:
    shared = 5 * slow_noise(1)
    one, other = measured(shared), measured(shared + 0.1 + 0.02 * slow_noise(2))
    found = difference(one, other, mean)
    assert found.low > 0.05 and found.high < 0.15
    assert estimate(one, mean).high - estimate(one, mean).low > 1


def test_equal_results_do_not_differ() -> None:
    one, other = measured(slow_noise(1)), measured(slow_noise(2))
    found = difference(one, other, mean)
    assert found.low < 0 < found.high


def test_a_short_video_has_a_value_without_an_interval() -> None:
    short = Measured("made_up", SECONDS[:60], np.ones((60, 1)))
    found = estimate(short, mean)
    assert found.value == 1 and np.isnan([found.low, found.high]).all()


def test_unknown_rows_do_not_count() -> None:
    rows = np.where(SECONDS < 10, np.nan, 2.0)
    assert estimate(measured(rows), mean).value == 2
    assert np.isnan(estimate(measured(np.full(len(SECONDS), np.nan)), mean).value)


def test_the_curve_shows_when_it_happens() -> None:
    middles, values = over_time(
        measured(np.where(SECONDS < 10, 0.0, 1.0)), mean, window=1, step=0.5
    )
    assert values[middles < 9].max() == 0 and values[middles > 11].min() == 1


@pytest.mark.parametrize(
    ("statistic", "columns", "value"),
    [
        (ratio_of_sums, [[2, 4], [1, 2]], 2.0),
        (correlation, [[1, 2, 3], [2, 4, 6]], 1.0),
        (correlation, [[1, 1, 1], [2, 4, 6]], np.nan),
    ],
)
def test_statistics(statistic, columns, value) -> None:
    found = statistic(np.array(columns, float).T)
    assert found == pytest.approx(value, nan_ok=True)


def test_the_interval_holds_the_value_also_of_a_magnitude_that_noise_only_makes_larger() -> None:
    noise = np.random.default_rng(5).standard_normal(len(SECONDS))

    def magnitude(rows: np.ndarray) -> float:
        return abs(mean(rows))

    found = estimate(measured(noise - noise.mean()), magnitude)
    assert found.low <= found.value <= found.high


def test_a_long_video_that_is_measured_in_few_places_has_an_interval() -> None:
    begins = np.arange(0, 7200, 23.0)
    seconds = (begins[:, None] + np.arange(8) / 25).ravel()
    rows = np.random.default_rng(1).standard_normal((len(seconds), 1))
    found = estimate(Measured("made_up", seconds, rows), mean)
    error = 1 / np.sqrt(len(seconds))
    assert 3 * error < found.high - found.low < 6 * error
