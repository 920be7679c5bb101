"""Grades claim no more than the interval of a figure allows."""

from __future__ import annotations

from math import nan

import pytest

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.grades import grade, verdict
from latentsync.evaluate.statistics import NOTHING, Estimate, mean
from tests.evaluate.made_up import GAIN, OFFSET, SOFTNESS

LOUDNESS = Figure("l", "rest", "L", "", "higher", "", mean, good=10, poor=5)


@pytest.mark.parametrize(
    ("figure", "good", "fair", "poor"),
    [(SOFTNESS, 0.9, 1.0, 2.0), (LOUDNESS, 10.1, 10, 5), (OFFSET, -0.5, 1.5, -3.0)],
)
def test_the_limits_count_in_the_figure_s_direction(
    figure: Figure, good: float, fair: float, poor: float
) -> None:
    found = [grade(figure, Estimate(value, nan, nan), span=40.0) for value in (good, fair, poor)]
    assert found == ["good", "fair", "poor"]


def test_good_and_poor_are_said_only_of_whole_intervals() -> None:
    assert grade(SOFTNESS, Estimate(0.9, 0.8, 0.95), span=40.0) == "good"
    assert grade(SOFTNESS, Estimate(0.9, 0.8, 1.1), span=40.0) == "fair"
    assert grade(SOFTNESS, Estimate(2.1, 1.9, 2.2), span=40.0) == "fair"
    assert grade(SOFTNESS, Estimate(1.5, 0.8, 2.2), span=40.0) is None


def test_an_interval_around_the_goal_is_as_bad_as_its_worse_end() -> None:
    assert grade(OFFSET, Estimate(0.1, -0.5, 0.7), span=40.0) == "good"
    assert grade(OFFSET, Estimate(0.1, -3.5, 3.5), span=40.0) is None
    assert grade(OFFSET, Estimate(2.0, -0.1, 2.9), span=40.0) == "fair"


def test_without_limits_or_without_a_value_there_is_no_grade() -> None:
    assert grade(GAIN, Estimate(1.0, 0.9, 1.1), span=40.0) is None
    assert grade(SOFTNESS, NOTHING, span=40.0) is None


def test_a_verdict_is_that_of_the_worst_figure_that_has_one() -> None:
    assert verdict(["good", None, "fair"]) == "fair"
    assert verdict(["good", "poor", "fair"]) == "poor"
    assert verdict([None, None]) == verdict([]) == "unknown"


def test_less_than_one_window_has_no_grade_however_sure_it_looks() -> None:
    assert grade(SOFTNESS, Estimate(0.5, nan, nan), span=0.9) is None
    assert grade(SOFTNESS, Estimate(0.5, nan, nan), span=1.0) == "good"
    assert grade(SOFTNESS, Estimate(0.5, 0.4, 0.6), span=0.9) is None
