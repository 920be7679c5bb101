"""Generated mouths are restored where samples of them are blurrier than the original mouths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.geometry import frame_scale
from latentsync.pipeline.planning.decide import (
    FEW_CHUNKS,
    SAMPLE_EVERY,
    MeasuredChunk,
    chunks_to_sample,
    decided_by_analysis,
    decided_by_samples,
)
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.gate import GENTLE, MouthState
from latentsync.restoration.mouth_blur import EdgeVariances, own_probability
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


ALIKE, BLURRED = 0.0, 1.5
"""Blur that a mouth has lost against the person's own, sigma in pixels."""


def sample(number: int, lost: float, track: int = 0) -> MeasuredChunk:
    energies = np.full((3, 2, BANDS), 1.0 + number, np.float32)
    own = np.ones((3, len(FIGURES)), np.float32)
    edges = own + np.where(np.array(FIGURES) == "lips", lost**2, 0).astype(np.float32)
    matrices = np.repeat(alignment_of(track).matrix[None], 3, axis=0)
    return MeasuredChunk(number, track, energies, 1.0, edges, own, matrices)


def between_thresholds() -> float:
    """A blur that is uncertain."""
    blurs, config = np.linspace(ALIKE, BLURRED, 300), RestoreConfig()
    scale = frame_scale(alignment_of(0).matrix)
    middle = (config.blur_on + config.blur_off) / 2
    return float(blurs[np.abs(own_probability(blurs**2, scale) - middle).argmin()])


def strength(plan: RenderPlan, *samples: MeasuredChunk, **settings) -> np.ndarray:
    return decided_by_samples(plan, RestoreConfig(**settings), samples, {}).strength


def test_a_mouth_as_sharp_as_one_s_own_is_left_alone():
    assert (strength(spoken(48), sample(1, ALIKE)) == 0).all()


def test_a_blurred_mouth_is_restored_from_the_first_frame_to_the_last():
    assert (strength(spoken(48), sample(1, BLURRED)) == 1).all()


def test_an_uncertain_mouth_is_left_alone_or_restored_at_half_strength():
    uncertain = sample(1, between_thresholds())
    assert (strength(spoken(48), uncertain) == 0).all()
    assert (strength(spoken(48), uncertain, uncertain="gentle") == GENTLE).all()
    made = decided_by_samples(spoken(48), RestoreConfig(), [uncertain], {})
    assert (made.mouth_state == MouthState.UNCERTAIN).all()


@pytest.mark.parametrize(("first", "restored"), [(BLURRED, True), (ALIKE, False)])
def test_between_the_thresholds_the_run_goes_on_as_it_began(first, restored):
    """A run over the lower threshold counts only if some of it is over the upper one."""
    late = strength(spoken(200), sample(0, first), sample(11, between_thresholds()))[-1]
    assert (late > 0) == restored


def test_a_change_between_two_samples_is_one_fade():
    made = strength(spoken(400), sample(2, ALIKE), sample(22, BLURRED), fade_seconds=0.32)
    assert made[0] == 0
    assert made[-1] == 1
    assert (np.diff(made) >= 0).all()
    assert ((made > 0) & (made < 1)).sum() == 8


def test_each_track_is_decided_and_tuned_by_its_own_samples():
    plan = spoken(32, 32)
    config = RestoreConfig()
    made = decided_by_samples(plan, config, [sample(0, BLURRED), sample(2, ALIKE, track=1)], {})
    assert (made.strength[:32] == 1).all()
    assert (made.strength[32:] == 0).all()
    assert (made.tracks[0].energies == 1).all()
    assert (made.tracks[1].energies == 3).all()
    assert made.sampled.tolist() == [0, 2]


def test_a_face_too_small_to_matter_is_left_alone():
    plan = spoken(32)
    small = replace(plan, scale=np.full(32, 0.3, np.float32))
    assert (strength(small, sample(0, BLURRED), min_scale=0.5) == 0).all()


@pytest.mark.parametrize(("when", "expected"), [("always", 1), ("never", 0)])
def test_restore_when_overrides_the_gate(when, expected):
    assert (strength(spoken(32), when=when) == expected).all()


def test_what_could_not_be_measured_is_left_alone():
    assert (strength(spoken(32), sample(0, np.nan)) == 0).all()


def test_frames_in_no_chunk_are_never_restored():
    plan = spoken(48)
    silent = replace(plan, chunk=np.where(np.arange(48) < 32, plan.chunk, -1))
    made = strength(silent, sample(0, BLURRED), when="always")
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


def filmed(lips: float, eyes: float = 1.0, frames: int = 50) -> RenderPlan:
    """A track with edges so blurred (sigma, aligned pixels) in every fifth frame."""
    analysis = analysis_of([alignment_of(0)] * frames)
    measured = min(1.0, float(frame_scale(analysis.matrices[0])))
    edges = np.full((frames, len(FIGURES)), np.nan, np.float32)
    edges[::5] = 0.0
    edges[::5, FIGURES.index("lips")] = (lips * measured) ** 2
    edges[::5, FIGURES.index("eyes")] = (eyes * measured) ** 2
    return plan_of(replace(analysis, edges=edges))


@pytest.mark.parametrize(("lips", "restored"), [(3.0, False), (6.0, True)])
def test_with_a_reference_the_person_s_own_mouth_decides(lips, restored):
    """Lips that are far blurrier than the eyes are natural where the own ones are so as well."""
    own = {0: EdgeVariances(lips=9.0, eyes=1.0)}
    made = decided_by_analysis(filmed(lips), RestoreConfig(), own)
    assert ((made.strength == 1) == restored).all()
    alone = decided_by_analysis(filmed(lips), RestoreConfig(), {})
    assert (alone.strength == 1).all()
    blur = made.tracks[0].blur
    assert blur.own and not alone.tracks[0].blur.own
    scale = float(frame_scale(made.matrices[0]))
    assert blur.lost == pytest.approx(scale * np.sqrt(lips**2 - 9), abs=1e-3)


def test_a_video_that_is_softer_all_over_than_the_reference_is_left_alone():
    """By its size or encoding: the eyes have lost what the lips have."""
    own = {0: EdgeVariances(lips=4.0, eyes=1.0)}
    softer = filmed(np.sqrt(4 + 9), np.sqrt(1 + 9))
    assert (decided_by_analysis(softer, RestoreConfig(), own).strength == 0).all()


def test_a_reference_that_could_not_be_measured_leaves_the_decision_to_the_face():
    nothing = {0: EdgeVariances(np.nan, np.nan)}
    made = decided_by_analysis(filmed(7.0), RestoreConfig(), nothing)
    alone = decided_by_analysis(filmed(7.0), RestoreConfig(), {})
    np.testing.assert_array_equal(made.blur, alone.blur)
    assert not made.tracks[0].blur.own


def test_a_track_is_tuned_by_the_mouths_that_are_restored_alone() -> None:
    """A shot whose last seconds were dubbed: most of it is as filmed."""
    plan = filmed(1.0, frames=400)
    edges = plan.analysis.edges.copy()
    edges[300:, 0] = 9.0
    dubbed = replace(plan, analysis=replace(plan.analysis, edges=edges))
    made = decided_by_analysis(dubbed, RestoreConfig(), {})
    restored = made.strength > 0
    assert 60 < restored.sum() < 200
    assert made.tracks[0].blur.lost > 2 and made.tracks[0].blur.left < 0.7


def test_new_speech_is_compared_with_the_reference_where_one_is_named() -> None:
    plan, generated = spoken(48), sample(1, ALIKE)
    scale = float(frame_scale(plan.matrices)[0])
    sharper = EdgeVariances(-4 / scale**2, 0.0)
    alone = decided_by_samples(plan, RestoreConfig(), [generated], {})
    beside = decided_by_samples(plan, RestoreConfig(), [generated], {0: sharper})
    assert (alone.strength == 0).all() and (beside.strength == 1).all()
    assert beside.tracks[0].blur.own and beside.tracks[0].blur.lost > alone.tracks[0].blur.lost
