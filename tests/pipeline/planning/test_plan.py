"""Decisions for a whole video from its analysis: gaps, runs and separate tracks."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentsync.errors import MediaError
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.decide import decided_by_analysis, fill_gaps
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.planning.plan_file import load_plan, save_plan
from latentsync.pipeline.planning.timeline import VideoTimeline
from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.gate import MouthState, runs
from latentsync.settings.schema import RestoreConfig
from tests.support.plans import alignment_of, analysis_of, plan_of


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


def _plan(analysis: SourceAnalysis, *, size: int | None = None, **settings) -> RenderPlan:
    config = RestoreConfig(**{"when": "always", **settings})
    laid = plan_of(analysis, size=size, generator_size=config.generator_size)
    return decided_by_analysis(laid, config, {})


def test_frames_without_a_face_are_left_alone_and_have_no_figures():
    plan = _plan(analysis_of([alignment_of(0)] * 20 + [None] * 5))
    assert (plan.strength[20:] == 0).all()
    assert np.isnan(plan.scale[20:]).all()
    assert np.isnan(plan.sharpness[20:]).all()
    assert np.isnan(plan.blur[20:]).all()
    assert (plan.mouth_state[20:] == MouthState.NONE).all()
    assert np.isnan(plan.matrices[20:]).all()


def test_restoration_fades_towards_frames_without_the_face_but_not_towards_a_cut():
    lost = _plan(analysis_of([alignment_of(0)] * 20 + [None] * 5)).strength
    cut = _plan(analysis_of([alignment_of(0)] * 20 + [None] * 5, cuts=[20])).strength
    assert lost[0] == 1
    assert (np.diff(lost[11:20]) < 0).all()
    assert (cut[:20] == 1).all()


def test_each_track_fades_by_its_own_presentation_times():
    """Glued together from 25 and 100 frames a second: a fade of 0.32 s is 8 frames, then 32."""
    times = np.concatenate([np.arange(41) / 25, 2 + np.arange(81) / 100])
    faces = [alignment_of(0)] * 40 + [None] + [alignment_of(1)] * 80 + [None]
    strength = _plan(analysis_of(faces, cuts=[41], seconds=times)).strength
    assert ((strength > 0) & (strength < 1)).nonzero()[0].tolist() == [
        *range(32, 40),
        *range(89, 121),
    ]


@pytest.mark.parametrize("fps", [12, 25, 60, 120])
def test_a_soft_mouth_counts_by_its_seconds_at_any_rate(fps):
    """Soft from second 2 to 4, and for half a second from 6 on: only the former is restored."""
    times = np.arange(8 * fps) / fps
    analysis = analysis_of([alignment_of(0)] * len(times), seconds=times)
    soft = ((times >= 2) & (times < 4)) | ((times >= 6) & (times < 6.5))
    edges = np.zeros((len(times), len(FIGURES)), np.float32)
    edges[soft, FIGURES.index("lips")] = 4.0
    plan = _plan(replace(analysis, edges=edges), when="auto")
    chosen = times[plan.strength > 0]
    assert chosen[0] == pytest.approx(2, abs=0.1)
    assert chosen[-1] == pytest.approx(4, abs=0.1)


def test_the_scale_is_frame_pixels_per_generator_pixel():
    plan = _plan(analysis_of([alignment_of(0)]), generator_size=512)
    assert plan.scale[0] == pytest.approx(0.5 * np.sqrt(420 * 560) / 512, rel=1e-4)


@pytest.mark.parametrize(("size", "shape"), [(512, (512, 512)), (256, (256, 256))])
def test_each_track_has_one_geometry_with_the_restorer_s_size(size, shape):
    plan = _plan(
        analysis_of([alignment_of(0)] * 3 + [alignment_of(1, 200.0)] * 3, cuts=[3]), size=size
    )
    assert sorted(plan.tracks) == [0, 1]
    for track in plan.tracks.values():
        assert track.geometry.size == shape
        assert track.geometry.mask.shape == shape
        assert track.geometry.mask.max() == pytest.approx(1, abs=0.02)


def test_the_mouth_box_has_as_many_pixels_as_the_frame():
    plan = _plan(analysis_of([alignment_of(0)]))
    matrix = plan.tracks[0].geometry.matrix(alignment_of(0).matrix)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1, abs=1e-3)


CHUNKS = [-1, 0, 0, 0, -1, 0, 1, 1, 2, -1, -1, 3]


def _chunked() -> RenderPlan:
    faces = [None if i in (0, 4, 9, 10) else alignment_of(0) for i in range(len(CHUNKS))]
    return plan_of(analysis_of(faces), chunk=CHUNKS)


def test_a_chunk_spans_its_frames_and_what_lies_between_them():
    assert _chunked().chunk_spans() == {0: (1, 6), 1: (6, 8), 2: (8, 9), 3: (11, 12)}


@pytest.mark.parametrize(
    ("asked", "whole"),
    [([0], [0]), ([2], [1, 2, 3, 5]), ([4, 6], [4, 6, 7]), ([8, 9, 10], [8, 9, 10]), ([], [])],
)
def test_frames_are_completed_to_whole_chunks(asked, whole):
    assert _chunked().whole_chunks(np.array(asked, np.int64)).tolist() == whole


@given(st.integers(1, 12))
def test_segments_cover_everything_once_and_cut_no_chunk(count):
    plan = _chunked()
    segments = plan.segments(count)
    assert [i for a, b in segments for i in range(a, b)] == list(range(len(plan)))
    for a, b in segments:
        assert len(plan.whole_chunks(np.arange(a, b))) == b - a
    assert len(segments) <= count


def test_runs_are_of_one_track_without_a_jump():
    faces = [alignment_of(0)] * 6 + [alignment_of(1)] * 4 + [None] * 2
    assert list(plan_of(analysis_of(faces)).runs()) == [(0, 6), (6, 10)]
    source = np.array([0, 1, 2, 3, 4, 5, 0, 1])
    line = VideoTimeline(source, np.arange(8) * 200, Fraction(1, 1000), Fraction(5), spoken=8)
    looped = analysis_of([alignment_of(0)] * 6, seconds=np.arange(6) / 5)
    assert list(plan_of(looped, line).runs()) == [(0, 6), (6, 8)]


def test_a_saved_plan_is_the_plan(tmp_path):
    plan = _plan(
        analysis_of([alignment_of(0)] * 20 + [None] * 5 + [alignment_of(1)] * 3, cuts=[25])
    )
    plan = replace(plan, overlap=4)
    save_plan(plan, tmp_path / "plan")
    again = load_plan(tmp_path / "plan")
    for field in fields(plan):
        if isinstance(getattr(plan, field.name), np.ndarray):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(plan, field.name))
    assert (again.time_base, again.rate, again.overlap) == (plan.time_base, plan.rate, 4)
    assert (again.frame_size, again.speech) == (plan.frame_size, plan.speech)
    for number, track in plan.tracks.items():
        np.testing.assert_array_equal(again.tracks[number].energies, track.energies)
        np.testing.assert_array_equal(again.tracks[number].geometry.mask, track.geometry.mask)
        assert again.tracks[number].blur == track.blur
    for one, other in zip(again.analysis.alignments, plan.analysis.alignments, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.track, one.confidence) == (other.track, other.confidence)
            np.testing.assert_array_equal(one.landmarks, other.landmarks)
    np.testing.assert_array_equal(again.analysis.energies, plan.analysis.energies)
    np.testing.assert_array_equal(again.analysis.people, plan.analysis.people)
    np.testing.assert_array_equal(again.analysis.edges, plan.analysis.edges)


def _shorten(path):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"strength": arrays["strength"][:2]}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("plan.npz", lambda path: path.unlink()),
        ("plan.npz", lambda path: path.write_bytes(b"")),
        ("plan.npz", lambda path: path.write_bytes(path.read_bytes()[:-200])),
        ("plan.npz", lambda path: path.write_bytes(path.read_bytes()[:300] + b"x" * 300)),
        ("plan.npz", _shorten),
        ("plan.json", lambda path: path.write_text("{")),
        ("plan.json", lambda path: path.write_text("[]")),
        ("plan.json", lambda path: path.write_text('{"format": "other"}')),
    ],
    ids=["missing", "empty", "cut off", "overwritten", "uneven", "no JSON", "a list", "other"],
)
def test_what_is_no_plan_is_refused_in_one_line(name, damage, tmp_path):
    save_plan(_plan(analysis_of([alignment_of(0)] * 3)), tmp_path / "plan")
    damage(tmp_path / name)
    with pytest.raises(MediaError, match="make the plan again") as caught:
        load_plan(tmp_path / "plan")
    assert "\n" not in str(caught.value)
