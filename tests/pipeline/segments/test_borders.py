"""Segments cover the video once, split no chunk, and end where a shot ends if one does nearby."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.pipeline.segments.borders import SLACK, segment_borders
from tests.support.plans import alignment_of, analysis_of, plan_of

FPS = 25


def plan(frames: int, *, cuts=(), chunk=None):
    return plan_of(analysis_of([alignment_of(0)] * frames, cuts), chunk=chunk)


def test_a_segment_ends_with_a_shot_that_ends_nearby() -> None:
    borders = segment_borders(plan(300, cuts=(92, 160, 205)), seconds=4)
    assert borders == [(0, 92), (92, 205), (205, 300)]


def test_a_shot_that_ends_elsewhere_does_not_count() -> None:
    borders = segment_borders(plan(300, cuts=(50, 140)), seconds=4)
    assert borders == [(0, 100), (100, 200), (200, 300)]


def test_no_chunk_is_split() -> None:
    chunk = np.arange(300) // 16
    borders = segment_borders(plan(300, chunk=chunk), seconds=4)
    assert all(first % 16 == 0 for first, _ in borders)


def test_a_short_video_is_one_segment() -> None:
    assert segment_borders(plan(30), seconds=20) == [(0, 30)]


@settings(deadline=None)
@given(frames=st.integers(1, 400), cuts=st.sets(st.integers(1, 399)), seconds=st.floats(0.2, 6))
def test_every_frame_is_in_one_segment(frames: int, cuts: set[int], seconds: float) -> None:
    borders = segment_borders(plan(frames, cuts=sorted(cuts)), seconds=seconds)
    assert borders[0][0] == 0 and borders[-1][1] == frames
    assert all(one[1] == other[0] for one, other in itertools.pairwise(borders))
    longest = max(after - first for first, after in borders) / FPS
    assert longest <= seconds * (1 + SLACK) + 1 / FPS or longest == pytest.approx(1 / FPS)
