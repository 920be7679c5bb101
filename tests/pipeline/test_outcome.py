"""What happened to pixels: changes, how sharp mouths are now, and what was gained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.pipeline.observation import EDGES_EVERY
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.stages.composite import Rendered
from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.mouth_blur import TrackBlur
from latentsync.types import Change, Frame
from tests.support.plans import alignment_of, analysis_of, plan_of

BLURRED = TrackBlur(1.8, 0.9, 1.56, 0.4, own=False)


def outcome(blur: TrackBlur = BLURRED, frames: int = 30, tracks: int = 1) -> Outcome:
    """Of a plan whose tracks all have that blur."""
    each = frames // tracks
    faces = [alignment_of(number // each) for number in range(frames)]
    plan = plan_of(analysis_of(faces, cuts=range(each, frames, each)))
    known = {number: replace(one, blur=blur) for number, one in plan.tracks.items()}
    return Outcome.of(replace(plan, tracks=known))


def rendered(index: int, change: Change) -> Rendered:
    random = np.random.default_rng(index)
    pixels = random.integers(0, 255, (480, 640, 3), np.uint8)
    frame = Frame(index, index / 25, index, pixels)
    return Rendered(index, frame, frame, None, {}, {0: change})


def test_changes_are_kept_and_edges_are_measured_a_few_times_a_second() -> None:
    made = outcome()
    for index in range(30):
        made.add(rendered(index, Change(index % 7, 0.5 * (index % 7))))
    assert made.largest.tolist() == [index % 7 for index in range(30)]
    assert made.mean[6] == 3.0
    measured = np.flatnonzero(~np.isnan(made.edges).any(axis=1))
    assert len(measured) == pytest.approx(30 / 25 / EDGES_EVERY, abs=2)
    assert (made.largest[measured] > 0).all()


def with_lips(made: Outcome, sigma: float) -> Outcome:
    """As if those had been measured in every frame. sigma: frame pixels."""
    made.largest[:] = 9
    # alignment_of is half as large as the aligned crop: a frame is measured at its own scale.
    made.edges[:] = sigma**2
    return made


def test_the_gain_is_said_in_one_sentence() -> None:
    made = with_lips(outcome(), 1.0)
    assert made.lips(0) == pytest.approx(1.0, rel=1e-3)
    assert made.gain() == "the mouth was 65 % softer than the face, now 7 % softer"
    own = with_lips(outcome(replace(BLURRED, own=True)), 0.9)
    assert own.gain() == "the mouth was 65 % softer than the person's own, now 0 % softer"


def test_where_there_was_nothing_to_gain_it_says_so() -> None:
    sharp = TrackBlur(0.8, 0.9, 0.0, 1.0, own=False)
    said = with_lips(outcome(sharp), 0.5).gain()
    assert (
        said
        == "the mouth was 6 % sharper than the face, now 22 % sharper: there was nothing to gain"
    )
    assert outcome().gain() == "nothing was restored"
    assert with_lips(outcome(TrackBlur.nothing()), 1.0).gain() == "the gain is not known"


def test_long_tracks_count_for_more() -> None:
    made = with_lips(outcome(tracks=2), 1.0)
    softer, sharper = replace(BLURRED, lips=2.4), replace(BLURRED, lips=0.9)
    tracks = {0: replace(made.plan.tracks[0], blur=softer)}
    tracks[1] = replace(made.plan.tracks[1], blur=sharper)
    short_first = made.plan.track.copy()
    short_first[5:] = 1
    made.plan = replace(made.plan, tracks=tracks, track=short_first)
    before = int(made.gain().split()[3])
    assert 0 < before < 20


def test_edges_have_the_figures_of_the_gate() -> None:
    assert outcome().edges.shape == (30, len(FIGURES))


def test_a_mouth_that_is_too_sharp_is_not_called_even() -> None:
    assert with_lips(outcome(), 0.3).gain().endswith("now 30 % sharper")


def test_a_track_without_restored_frames_has_no_sharpness_after() -> None:
    assert np.isnan(outcome().lips(0))
