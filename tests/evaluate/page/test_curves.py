"""Curves and bars of the timeline."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.page.curves import path, percent, scale, shares, thinned, ticks
from latentsync.evaluate.page.words import interval, number
from latentsync.evaluate.words import clock, shown


def test_a_thinned_curve_keeps_a_single_spike_and_its_gaps() -> None:
    values: list[float | None] = [1.0] * 3000
    values[1234] = 9.0
    values[2000:2100] = [None] * 100
    seconds, kept = thinned(list(range(3000)), values)
    assert len(kept) <= 500
    assert seconds[np.nanargmax(kept)] == 1234
    assert np.isnan(kept).any()


def test_a_short_curve_stays_as_it_is() -> None:
    seconds, values = thinned([0.0, 1.0, 2.0], [5.0, None, 7.0])
    assert seconds.tolist() == [0, 1, 2]
    assert values[0] == 5 and np.isnan(values[1])


def test_a_path_begins_anew_after_a_gap_and_higher_values_are_further_up() -> None:
    values = np.array([0.0, 1.0, np.nan, 0.5])
    drawn = path(np.array([0.0, 1.0, 2.0, 4.0]), values, span=4, bounds=(0, 1), height=40)
    assert drawn == "M0.0,40.0L250.0,0.0M1000.0,20.0L1000.0,20.0"


def test_noise_is_not_drawn_as_if_it_were_much() -> None:
    low, high = scale(np.array([0.999, 1.001]), 1.0)
    assert high - low == pytest.approx(0.1)
    assert scale(np.array([0.0, 5.0]), 1.0) == (0.0, 5.0)
    low, high = scale(np.array([0.0, 0.0]), 0.0)
    assert low < high


def test_few_spans_are_bars_and_many_are_shares_of_time() -> None:
    assert shares([(1, 2), (9.5, 12), (12, 13)], span=10) == [(1, 2, 1.0), (9.5, 10, 1.0)]
    many = [(at, at + 0.25) for at in range(1000)]
    bars = shares(many, span=1000, most=100)
    assert len(bars) == 100
    assert [share for _, _, share in bars] == pytest.approx([0.25] * 100)


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (3.48, ["0:00", "0:00.5", "0:01"]),
        (42, ["0:00", "0:05", "0:10"]),
        (7384, ["0:00", "15:00", "30:00"]),
        (90_000, ["0:00", "3:00:00", "6:00:00"]),
    ],
)
def test_an_axis_has_round_times(span: float, shown: list[str]) -> None:
    at = ticks(span)
    assert [clock(one, tenths=one % 1 > 0) for one in at[:3]] == shown
    assert 4 <= len(at) <= 11


def test_times_and_numbers_are_short() -> None:
    assert [clock(one) for one in (0, 61.9, 3671)] == ["0:00", "1:01", "1:01:11"]
    assert clock(59.96, tenths=True) == "1:00.0"
    assert [number(one) for one in (0.9621, 46.83, 1234.5, 0.0, -0.00001, -2.5, None)] == [
        *("0.962", "46.8", "1234", "0.00", "0.00", "−2.50", "–")
    ]
    assert interval({"value": 46.8, "low": 46.71234, "high": 47}) == "46.7\u00a0to 47.0"
    assert interval({"value": 1.0, "low": None, "high": None}) == "–"
    assert percent(1, 4) == "25.00%"


@pytest.mark.parametrize("value", [0.00012345, 0.48, 1.0, 99.96, 999.9, 1234.5, -2.5, -0.00001])
def test_the_page_and_its_sentences_round_alike(value: float) -> None:
    assert float(number(value).replace("−", "-")) == float(shown(value))
