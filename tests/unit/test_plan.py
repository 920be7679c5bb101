"""Decisions for a whole film from what pass 1 kept: gaps filled, runs found, tracks kept apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentsync.face.align import TEMPLATE, similarity
from latentsync.face.landmarks import CONTROL, FIVE, LANDMARKS
from latentsync.face.masks import region_mask
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.plan import fill_gaps, plan_film
from latentsync.restore.gate import runs
from latentsync.restore.sharpness import BANDS
from latentsync.schema import RestoreConfig
from latentsync.types import Alignment


@given(arrays(bool, st.integers(0, 40)))
def test_runs_cover_exactly_the_frames_that_are_set(flags):
    covered = np.zeros(len(flags), bool)
    for begin, end in runs(flags):
        assert begin < end
        assert not covered[begin:end].any()
        covered[begin:end] = True
    assert (covered == flags).all()


@given(arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([np.nan, 1.0, 2.0, 3.0])))
def test_a_gap_is_filled_from_the_nearest_measurement(values):
    filled = fill_gaps(values[:, None])[:, 0]
    good = np.flatnonzero(~np.isnan(values))
    for index, value in enumerate(filled):
        if len(good):
            distance = np.abs(good - index)
            assert value in values[good[distance == distance.min()]]
        else:
            assert np.isnan(value)


def _alignment(track: int, x: float = 300.0) -> Alignment:
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    landmarks[CONTROL] = TEMPLATE / 2
    landmarks[FIVE] = [[60, 70], [150, 70], [105, 112], [70, 180], [140, 180]]
    landmarks += [x, 100]
    return Alignment(similarity(landmarks[CONTROL], TEMPLATE), landmarks, 0.9, track)


def _survey(alignments, cuts=()) -> SourceAnalysis:
    energies = np.ones((len(alignments), 2, BANDS), np.float32)
    is_cut = np.isin(np.arange(len(alignments)), cuts)
    pts = np.arange(len(alignments))
    return SourceAnalysis(pts, pts / 25, is_cut, list(alignments), energies)


def _plan(survey: SourceAnalysis, *, size: int | None = None, **settings):
    config = RestoreConfig(when="always", **settings)
    return plan_film(survey, config, size=size, region_mask=region_mask("mouth"))


def test_frames_without_a_face_are_left_alone_and_have_no_figures():
    plan = _plan(_survey([_alignment(0)] * 20 + [None] * 5))
    assert (plan.weights[20:] == 0).all()
    assert np.isnan(plan.scale[20:]).all()
    assert np.isnan(plan.sharpness[20:]).all()


def test_restoration_fades_towards_frames_without_the_face_but_not_towards_a_cut():
    lost = _plan(_survey([_alignment(0)] * 20 + [None] * 5)).weights
    cut = _plan(_survey([_alignment(0)] * 20 + [None] * 5, cuts=[20])).weights
    assert lost[0] == 1
    assert (np.diff(lost[11:20]) < 0).all()
    assert (cut[:20] == 1).all()


def test_each_track_fades_by_its_own_presentation_times():
    """Glued together from 25 and 100 frames a second: a fade of 0.32 s is 8 frames, then 32."""
    survey = _survey([_alignment(0)] * 40 + [None] + [_alignment(1)] * 80 + [None], cuts=[41])
    times = np.concatenate([np.arange(41) / 25, 2 + np.arange(81) / 100])
    weights = _plan(replace(survey, pts_seconds=times)).weights
    assert ((weights > 0) & (weights < 1)).nonzero()[0].tolist() == [
        *range(32, 40),
        *range(89, 121),
    ]


def test_the_scale_is_frame_pixels_per_generator_pixel():
    plan = _plan(_survey([_alignment(0)]), generator_size=512)
    assert plan.scale[0] == pytest.approx(0.5 * np.sqrt(420 * 560) / 512, rel=1e-4)


@pytest.mark.parametrize(("size", "shape"), [(512, (512, 512)), (256, (256, 256))])
def test_each_track_has_one_geometry_with_the_restorer_s_size(size, shape):
    plan = _plan(_survey([_alignment(0)] * 3 + [_alignment(1, 200.0)] * 3, cuts=[3]), size=size)
    assert sorted(plan.tracks) == [0, 1]
    for track in plan.tracks.values():
        assert track.geometry.size == shape
        assert track.geometry.mask.shape == shape
        assert track.geometry.mask.max() == pytest.approx(1, abs=0.02)


def test_the_mouth_box_has_as_many_pixels_as_the_frame():
    plan = _plan(_survey([_alignment(0)]))
    matrix = plan.tracks[0].geometry.matrix(_alignment(0).matrix)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1, abs=1e-3)
