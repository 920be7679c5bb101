"""The verdict in words: short, with places, and no more than is known."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.verdict import verdicts
from latentsync.evaluate.words import clock, listed, places, shown
from tests.evaluate.made_up import SECONDS, evaluated, measured, report

NO_AUDIO = "the video has no audio; name some with --audio"


def test_the_headline_says_it_all_in_one_line() -> None:
    found = evaluated(
        measured("softness", 1.5),
        measured("offset", 0.2),
        report=report(without_face=[[31.0, 31.44]]),
    )
    assert found["summary"][0] == (
        "Sync good; mouth fair: softness of the mouth (1.5 px); seam unknown; "
        "rest of the frame unknown; 12 frames skipped at 0:31."
    )


def test_each_group_has_a_sentence_and_a_bad_figure_its_worst_moment() -> None:
    values = np.where((SECONDS > 31) & (SECONDS < 33), 6.0, 2.5)
    summary = evaluated(measured("softness", values))["summary"]
    assert [text.split(":")[0] for text in summary[1:5]] == [
        *("Sync", "Mouth", "Seam", "Rest of the frame"),
    ]
    assert "Mouth: poor; softness of the mouth (2.67 px), most of all at 0:3" in summary[2]


def test_a_group_that_is_not_known_says_what_would_be_needed() -> None:
    summary = evaluated(reasons={"offset": NO_AUDIO})["summary"]
    assert "Sync: unknown. The video has no audio; name some with --audio." in summary


def test_a_figure_that_varies_too_much_is_not_called_good_or_poor() -> None:
    values = np.where(abs(SECONDS - 20) < 1, 30, 0.1)
    found = evaluated(measured("softness", values))
    assert found["verdict"]["mouth"] == "unknown"
    assert "vary too much to call it good or poor" in found["summary"][2]


def test_what_is_missing_from_a_group_with_a_verdict_is_said_too() -> None:
    found = evaluated(measured("offset", 0.5), reasons={"gain": "no source", "softness": "none"})
    assert not [one for one in found["summary"] if one.startswith("Not measured")]  # mouth unknown
    found = evaluated(measured("softness", 0.5), reasons={"gain": "no source", "edge": "no job"})
    assert "Not measured: edge of the mouth; no job." in found["summary"]
    assert "no source" not in " ".join(found["summary"])  # it has no limits


def test_lips_that_move_are_no_proof_of_sync_but_lips_that_do_not_are_one_against_it() -> None:
    grades = {"good": "unknown", "fair": "unknown", "poor": "poor"}
    for given, said in grades.items():
        moving = {"lips_move_in_speech": {"group": "sync", "grade": given}}
        assert verdicts(moving)["sync"] == said
        following = {"lips_follow_prediction": {"group": "sync", "grade": "good"}}
        assert verdicts(moving | following)["sync"] == given


def test_figures_without_intervals_are_said_to_be_unsure() -> None:
    whole, short = (measured("softness", 0.5), measured("softness", 0.5))
    short = type(whole)("softness", whole.seconds[:50], whole.rows[:50])
    sure, unsure = (" ".join(evaluated(one)["summary"]) for one in (whole, short))
    assert "how sure" not in sure and "how sure" in unsure


def test_what_was_left_as_filmed_is_said_with_its_places() -> None:
    spans = {"occluded": [[5.0, 9.0], [12.0, 12.5]], "turned_away": [[3.0, 3.0]]}
    summary = evaluated(report=report(**spans))["summary"]
    assert (
        "Left as filmed: the head is turned too far at 0:03; something is in front of the face "
        "from 0:05 to 0:09, at 0:12." in summary
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00"), (31.9, "0:31"), (600, "10:00"), (3671, "1:01:11")]
)
def test_moments_are_shown_as_players_do(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_more_than_three_places_are_counted() -> None:
    spans = [[float(s), float(s)] for s in (1, 5, 9, 13, 17)]
    assert places(spans) == "at 0:01, at 0:05, at 0:09 and in 2 more places"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (12345.6, "12346"), (0.00004, "0"), (-0.0, "0"), (2.0, "2")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert shown(value) == text and shown(value, "px") == f"{text} px"


def test_a_list_ends_in_and() -> None:
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"
