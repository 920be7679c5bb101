"""Two results of one source: which is better, where, and whether it is beyond noise."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.comparison import compare, comparison_words
from latentsync.evaluate.statistics import Measured
from tests.evaluate.made_up import SECONDS, TABLE, measured


def compared(name: str, one: np.ndarray | float, other: np.ndarray | float):
    return compare([measured(name, one)], [measured(name, other, noise=0.02)], TABLE)[name]


@pytest.mark.parametrize(
    ("name", "one", "other", "better"),
    [
        ("softness", 1.0, 1.5, "one"),
        ("softness", 1.5, 1.0, "other"),
        ("gain", 1.0, 1.5, "other"),
        ("offset", -2.0, 1.0, "other"),
        ("offset", 0.5, -2.0, "one"),
    ],
)
def test_the_better_one_is_so_in_the_figure_s_direction(
    name: str, one: float, other: float, better: str
) -> None:
    found = compared(name, one, other)
    assert found.better == better
    assert found.found.value == pytest.approx(other - one, abs=0.01)


def test_a_difference_within_noise_or_below_the_grain_is_none() -> None:
    noisy = np.random.default_rng(5).normal(1, 5, len(SECONDS))
    assert compared("gain", 1.0, noisy).better == "same"
    assert compared("softness", 1.0, 1.04).better == "same"
    assert compared("offset", -1.0, 1.0).better == "same"  # as far from the goal


def test_the_place_is_where_they_differ_most_in_favour_of_the_better() -> None:
    other = np.where((SECONDS > 30) & (SECONDS < 32), 0.2, 0.9)
    other[(SECONDS > 10) & (SECONDS < 12)] = 3.0  # larger, but the other way
    where = compared("softness", 1.5, other).where
    assert where is not None and 29.5 < where < 32.5


def test_results_that_are_too_short_to_tell_are_not_compared() -> None:
    short = [Measured("gain", SECONDS[:25], np.full((25, 1), value)) for value in (1.0, 2.0)]
    found = compare(short[:1], short[1:], TABLE)["gain"]
    assert (found.better, found.plain()["low"]) == ("unknown", None)


def test_sentences_say_which_is_better_in_what_and_where() -> None:
    other = np.where((SECONDS > 31) & (SECONDS < 33), 0.2, 1.4)
    one = [measured("softness", 1.5), measured("gain", 1.0)]
    found = compare(one, [measured("softness", other), measured("gain", 1.0)], TABLE)
    words = comparison_words(found, "a.mp4", "b.mp4")
    assert words[0] == "b.mp4 is better: in 1 figure, and in none worse."
    assert words[1].startswith("b.mp4 is better in softness of the mouth (1.5 to 1.34 px, most at")
    assert words[2] == "No difference beyond noise: gain."


def test_a_figure_in_which_both_are_good_does_not_decide() -> None:
    one = [measured("softness", 1.5), measured("edge", 0.1), measured("gain", 2.0)]
    other = [measured("softness", 1.2), measured("edge", 0.5), measured("gain", 1.0)]
    words = comparison_words(compare(one, other, TABLE), "a.mp4", "b.mp4")
    assert words[0] == "b.mp4 is better: in 1 figure, and worse only where both are good."


def test_sentences_say_when_neither_is_better() -> None:
    mixed = compare(
        [measured("softness", 1.0), measured("edge", 2.0)],
        [measured("softness", 2.0), measured("edge", 1.0)],
        TABLE,
    )
    assert comparison_words(mixed, "a", "b")[0] == (
        "Neither is better in all: a in 1 figure, b in 1."
    )
    good = compare([measured("softness", 0.5)], [measured("softness", 0.2)], TABLE)
    assert comparison_words(good, "a", "b")[0].startswith("Neither is better where it counts")
    same = compare([measured("gain", 1.0)], [measured("gain", 1.0)], TABLE)
    assert comparison_words(same, "a", "b")[0].startswith("The two are the same")
    assert comparison_words({}, "a", "b")[0].startswith("Which is better is not known")
