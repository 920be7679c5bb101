"""The steps that need no file: what they keep, cut and drop, and why."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from latentsync.errors import ConfigError
from latentsync.face.speaking_evidence import Speech
from latentsync.training.preparation.faces import judge_faces, judge_size
from latentsync.training.preparation.manifest import DROPPED, KEPT, NOT_JUDGED, Judged, Piece
from latentsync.training.preparation.quality import judge_blur
from latentsync.training.preparation.segments import judge_segments
from latentsync.training.preparation.settings import PreparationSettings, check
from latentsync.training.preparation.shots import judge_shots
from latentsync.training.preparation.speakers import judge_speaker, judge_speech
from latentsync.training.preparation.sync import Lag, judge_lag, judge_offset, lag_of
from tests.training.preparation.made_up import alignment, person

SETTINGS = PreparationSettings()


def stretches(judged: list[Judged], verdict: str = KEPT) -> list[tuple[int, int]]:
    return [(one.piece.start, one.piece.stop) for one in judged if one.verdict == verdict]


def test_shots_end_at_cuts_and_short_ones_are_dropped() -> None:
    cuts = np.zeros(500, bool)
    cuts[[0, 200, 260]] = True
    judged = list(judge_shots(cuts, SETTINGS))
    assert stretches(judged) == [(0, 200), (260, 500)]
    assert stretches(judged, DROPPED) == [(200, 260)]
    assert "2.4 s" in judged[1].reason


def test_each_track_is_a_piece_of_its_person_and_time_without_a_face_is_noted() -> None:
    people = [person(1, (0, 200), (240, 300)), person(2, (50, 200))]
    judged = list(judge_faces([Piece("s000", 0, 400)], people, SETTINGS))
    kept = [(one.piece.person, one.piece.track) for one in judged if one.verdict == KEPT]
    assert kept == [(1, 10), (2, 20)]
    dropped = {one.reason: (one.piece.start, one.piece.stop) for one in judged if not one.goes_on}
    assert dropped["no face is seen"] == (300, 400)
    assert dropped["the face is seen for 2.4 s in one go"] == (240, 300)
    names = [one.piece.name for one in judged]
    assert len(set(names)) == len(names)


def test_a_small_face_is_dropped_unless_the_step_is_left_out() -> None:
    people = [person(1, (0, 200), width=100.0)]
    piece = Piece("s000p1t10", 0, 200, 1, 10)
    (judged,) = judge_size([piece], people, SETTINGS)
    assert (judged.verdict, judged.figures["face_width"]) == (DROPPED, 100)
    assert "128" in judged.reason
    (judged,) = judge_size([piece], people, PreparationSettings(skip=("size",)))
    assert (judged.verdict, judged.figures["face_width"]) == (NOT_JUDGED, 100)


def test_where_another_person_speaks_a_piece_is_cut() -> None:
    piece = Piece("p", 0, 500, person=1)
    spans = {1: [(0.0, 6.0)], 2: [(5.0, 10.0)], 3: [(19.0, 30.0)]}
    judged = list(judge_speaker([piece], spans, SETTINGS))
    # Person 1 speaks at the same time as person 2 from 5 to 6 s: that is kept.
    assert stretches(judged) == [(0, 150), (250, 475)]
    assert stretches(judged, DROPPED) == [(150, 250), (475, 500)]


def test_speech_counts_for_its_own_person_only() -> None:
    spoken = np.ones(250, bool)
    piece = Piece("p", 0, 250, person=1)
    (alone,) = judge_speech([piece], spoken, None, SETTINGS)
    (other,) = judge_speech([piece], spoken, {2: [(0.0, 10.0)]}, SETTINGS)
    assert (alone.verdict, other.verdict) == (KEPT, DROPPED)
    (skipped,) = judge_speech([piece], spoken, None, PreparationSettings(skip=("speech",)))
    assert (skipped.verdict, skipped.reason) == (NOT_JUDGED, "the step is left out")


@pytest.mark.parametrize("frames", [124, 125, 250, 251, 499, 750, 751])
def test_segments_last_5_to_10_s_and_leave_nothing_out(frames: int) -> None:
    judged = list(judge_segments([Piece("p", 100, 100 + frames)], SETTINGS))
    edges = [(one.piece.start, one.piece.stop) for one in judged]
    assert (edges[0][0], edges[-1][1]) == (100, 100 + frames)
    assert all(before[1] == after[0] for before, after in pairwise(edges))
    kept = [one.piece.frames for one in judged if one.goes_on]
    assert all(125 <= one <= 250 for one in kept)
    assert bool(kept) == (frames >= 125)


def test_a_remainder_that_is_too_short_is_dropped() -> None:
    settings = PreparationSettings(min_seconds=8.0)
    judged = list(judge_segments([Piece("p", 0, 300)], settings))
    assert stretches(judged) == [(0, 250)]
    assert stretches(judged, DROPPED) == [(250, 300)]


@pytest.mark.parametrize(
    ("frames", "confidence", "verdict"),
    [(6, 3.0, KEPT), (-6, 3.0, KEPT), (7, 9.0, DROPPED), (0, 2.99, DROPPED)],
)
def test_syncnet_keeps_what_latentsync_keeps(frames: int, confidence: float, verdict: str) -> None:
    judged = judge_offset(Piece("p", 0, 125), frames, confidence, 7.0, SETTINGS)
    assert judged.verdict == verdict
    assert bool(judged.reason) == (verdict == DROPPED or frames != 0)


@pytest.mark.parametrize(
    ("delay", "verdict"), [(120.0, KEPT), (-250.0, DROPPED), (math.nan, NOT_JUDGED)]
)
def test_without_weights_the_lag_judges_and_says_so(delay: float, verdict: str) -> None:
    judged = judge_lag(Piece("p", 0, 125), Lag(delay, 0.4), SETTINGS)
    assert judged.verdict == verdict
    assert "weights are not here" in judged.reason


def test_blurred_eyes_are_dropped_and_unknown_ones_are_no_silent_pass() -> None:
    piece = Piece("p", 0, 125)
    assert judge_blur(piece, [0.5, 0.6, 9.0], SETTINGS).verdict == KEPT
    assert judge_blur(piece, [2.5, 2.6, 0.1], SETTINGS).verdict == DROPPED
    assert judge_blur(piece, [math.nan] * 3, SETTINGS).verdict == NOT_JUDGED


@pytest.mark.parametrize(
    "wrong",
    [
        {"resolution": 300},
        {"min_seconds": 1.0},
        {"max_seconds": 4.0},
        {"min_speech": 1.5},
        {"max_offset": 16},
        {"min_confidence": float("nan")},
        {"max_seconds": float("inf")},
        {"crf": 60},
        {"min_quality": -1.0},
        {"skip": ("readable",)},
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        check(PreparationSettings(**wrong))  # type: ignore[arg-type]


def test_a_lag_is_not_believed_without_5_s_of_a_face() -> None:
    speech = Speech(np.ones(1000, bool), np.zeros((250, 4), np.float32))
    known = lag_of([(0, [alignment(160)] * 124)], speech)
    assert math.isnan(known.delay_ms) and math.isnan(known.agreement)
