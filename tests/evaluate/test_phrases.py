"""A figure in a few words: what its grade and its interval allow."""

from __future__ import annotations

import re

import pytest

from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.phrases import BY_GRADE, EITHER_SIDE, RATIO, phrase


def figure(name: str, value: float, low: float | None = None, high: float | None = None, **more):
    one = FIGURES[name]
    about = {"title": one.title, "unit": one.unit, "grade": None}
    return {**about, "value": value, "low": low, "high": high, **more}


@pytest.mark.parametrize("name", [*BY_GRADE, *EITHER_SIDE, *RATIO])
def test_only_figures_that_exist_have_words(name: str) -> None:
    assert name in FIGURES


def test_words_follow_the_grade() -> None:
    found = [
        phrase("lips_follow_prediction", figure("lips_follow_prediction", value, grade=grade))
        for value, grade in ((0.4, "good"), (0.1, "fair"), (0.0, "poor"))
    ]
    assert found == [
        "lips follow the speech (r 0.4)",
        "lips follow the speech only loosely (r 0.1)",
        "lips do not follow the speech (r 0)",
    ]


def test_a_side_is_named_only_where_the_interval_leaves_no_other() -> None:
    delay = [(50.0, 20.0, 80.0), (-50.0, -80.0, -20.0), (10.0, -20.0, 40.0)]
    assert [phrase("lip_delay", figure("lip_delay", *one)) for one in delay] == [
        "lips are 50 ms late",
        "lips are 50 ms early",
        "lips are on time",
    ]
    assert phrase("lip_delay", figure("lip_delay", 50.0)) == "delay of the lips (50 ms)"


def test_a_ratio_is_said_in_per_cent() -> None:
    found = [(0.9, 0.85, 0.95), (1.2, 1.1, 1.3), (1.02, 0.9, 1.1), (1.001, 1.0005, 1.002)]
    said = [phrase("lips_move_as_source", figure("lips_move_as_source", *one)) for one in found]
    assert said == [
        "lips move 10 % less than the source's own",
        "lips move 20 % more than the source's own",
        *["lips move as much as the source's own"] * 2,
    ]


def test_a_figure_without_words_is_called_by_its_title() -> None:
    found = phrase("warping_error", figure("warping_error", 1.31))
    assert found == "warping error of the mouth against the source's (1.31)"


@pytest.mark.parametrize("name", FIGURES)
def test_a_title_names_a_thing_and_claims_nothing(name: str) -> None:
    """It stands beside a value of any size, and in a list with commas."""
    assert not re.search(
        r"\b(is|are|moves?|follows?|trembles?|makes?)\b|,|by$", FIGURES[name].title
    )
