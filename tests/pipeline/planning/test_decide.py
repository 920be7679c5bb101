"""Generated mouths are restored where samples of them are blurrier than the original mouths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.pipeline.planning.decide import (
    FEW_CHUNKS,
    GENERATED_OFF,
    GENERATED_ON,
    SAMPLE_EVERY,
    MeasuredChunk,
    chunks_to_sample,
    decided_by_samples,
)
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.sharpness import BANDS
from latentsync.settings.schema import RestoreConfig
from tests.support.plans import alignment_of, analysis_of, plan_of

CHUNK = 16


def spoken(*lengths: int) -> RenderPlan:
    """One track of so many frames for each length, cut after cut; chunks of 16."""
    faces = [alignment_of(track) for track, count in enumerate(lengths) for _ in range(count)]
    cuts = np.cumsum(lengths)[:-1]
    chunk = np.concatenate([np.arange(count) // CHUNK for count in lengths])
    starts = np.cumsum([0, *(-(-count // CHUNK) for count in lengths)])[:-1]
    offset = np.repeat(starts, lengths)
    return plan_of(analysis_of(faces, cuts=cuts), chunk=chunk + offset)


def sample(number: int, ratio: float, track: int = 0) -> MeasuredChunk:
    energies = np.full((3, 2, BANDS), 1.0 + number, np.float32)
    return MeasuredChunk(number, track, energies, ratio)


def strength(plan: RenderPlan, *samples: MeasuredChunk, **settings) -> np.ndarray:
    return decided_by_samples(plan, RestoreConfig(**settings), samples).strength


def test_a_mouth_as_sharp_as_the_original_is_left_alone():
    assert (strength(spoken(48), sample(1, 0.99)) == 0).all()


def test_a_blurred_mouth_is_restored_from_the_first_frame_to_the_last():
    assert (strength(spoken(48), sample(1, 0.6)) == 1).all()


@pytest.mark.parametrize(("first", "restored"), [(0.6, True), (0.99, False)])
def test_between_the_thresholds_the_run_goes_on_as_it_began(first, restored):
    """A run under the upper threshold counts only if some of it is under the lower one."""
    between = (GENERATED_ON + GENERATED_OFF) / 2
    late = strength(spoken(200), sample(0, first), sample(11, between))[-1]
    assert (late > 0) == restored


def test_a_change_between_two_samples_is_one_fade():
    made = strength(spoken(400), sample(2, 0.99), sample(22, 0.5), fade_seconds=0.32)
    assert made[0] == 0
    assert made[-1] == 1
    assert (np.diff(made) >= 0).all()
    assert ((made > 0) & (made < 1)).sum() == 8


def test_each_track_is_decided_and_tuned_by_its_own_samples():
    plan = spoken(32, 32)
    config = RestoreConfig()
    made = decided_by_samples(plan, config, [sample(0, 0.6), sample(2, 0.99, track=1)])
    assert (made.strength[:32] == 1).all()
    assert (made.strength[32:] == 0).all()
    assert (made.tracks[0].energies == 1).all()
    assert (made.tracks[1].energies == 3).all()
    assert made.sampled.tolist() == [0, 2]


def test_a_face_too_small_to_matter_is_left_alone():
    plan = spoken(32)
    small = replace(plan, scale=np.full(32, 0.3, np.float32))
    assert (strength(small, sample(0, 0.6), min_scale=0.5) == 0).all()


@pytest.mark.parametrize(("when", "expected"), [("always", 1), ("never", 0)])
def test_restore_when_overrides_the_gate(when, expected):
    assert (strength(spoken(32), when=when) == expected).all()


def test_what_could_not_be_measured_is_left_alone():
    assert (strength(spoken(32), sample(0, np.nan)) == 0).all()


def test_frames_in_no_chunk_are_never_restored():
    plan = spoken(48)
    silent = replace(plan, chunk=np.where(np.arange(48) < 32, plan.chunk, -1))
    made = strength(silent, sample(0, 0.5), when="always")
    assert (made[:32] > 0).all()
    assert (made[32:] == 0).all()


def test_every_run_is_sampled_and_a_long_one_more_often():
    short, long = 20, round(2.5 * SAMPLE_EVERY * 25)
    plan = spoken(short, long, 5)
    chosen = chunks_to_sample(plan)
    tracks = [int(plan.track[plan.chunk == number][0]) for number in chosen]
    assert tracks == [0, 1, 1, 1, 1, 2]
    assert len(set(chosen)) == len(chosen)
    assert len(chunks_to_sample(spoken(FEW_CHUNKS * CHUNK))) == 2
