"""Which chunks share frames: every frame is determined once, by a chunk that holds it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.pipeline.planning.linked_chunks import due_after, to_denoise, with_lead_in
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.planning.timeline import chunks, video_timeline
from tests.support.plans import alignment_of, analysis_of, plan_of

SIZE = 16
OVERLAPS = st.integers(0, SIZE // 2)
RUNS = st.lists(st.integers(1, 70), min_size=1, max_size=4)


def numbered(tracks: np.ndarray, overlap: int) -> np.ndarray:
    """The chunks of a video at 25 frames a second, all of it with speech."""
    count = np.arange(len(tracks))
    line = video_timeline(count, Fraction(1, 25), Fraction(25))
    return chunks(line, tracks, count / 25, size=SIZE, overlap=overlap)


def planned(runs: list[int], overlap: int) -> RenderPlan:
    """Each run shows another face."""
    tracks = np.repeat(np.arange(len(runs)), runs)
    cuts = np.cumsum(runs)[:-1]
    analysis = analysis_of([alignment_of(int(track)) for track in tracks], cuts)
    return replace(plan_of(analysis, chunk=numbered(tracks, overlap)), overlap=overlap)


@pytest.mark.parametrize(
    ("frames", "overlap", "own"),
    [
        (40, 0, [16, 16, 8]),
        (40, 4, [12, 12, 16]),
        (41, 4, [12, 12, 12, 5]),
        (16, 4, [16]),
        (17, 4, [12, 5]),
        (33, 8, [8, 8, 8, 9]),
        (3, 8, [3]),
    ],
)
def test_a_chunk_advances_by_what_it_does_not_share(frames, overlap, own):
    numbers = numbered(np.zeros(frames, int), overlap)
    assert np.bincount(numbers).tolist() == own


def test_without_overlap_every_chunk_is_alone():
    for one in planned([40, 20], 0).linked_chunks().values():
        assert one.own == one.span == one.determined
        assert one.anchor and not one.neighbours


def test_anchors_and_bridges_alternate_and_share_the_overlap():
    linked = planned([40], 4).linked_chunks()
    assert [one.span for one in linked.values()] == [(0, 16), (12, 28), (24, 40)]
    assert [one.determined for one in linked.values()] == [(0, 12), (12, 28), (28, 40)]
    assert [one.anchor for one in linked.values()] == [True, False, True]
    assert [one.neighbours for one in linked.values()] == [[1], [0, 2], [1]]


@settings(deadline=None)  # a plan of four tracks takes a while on a busy machine
@given(RUNS, OVERLAPS)
def test_every_frame_is_determined_once_and_no_chunk_leaves_its_run(runs, overlap):
    plan = planned(runs, overlap)
    linked = plan.linked_chunks()
    frames = Counter(i for one in linked.values() for i in range(*one.determined))
    assert frames == Counter(range(len(plan)))
    for one in linked.values():
        first, end = one.span
        assert 0 < end - first <= SIZE
        assert len(set(plan.track[first:end])) == 1
        if one.after is not None:
            assert end - linked[one.after].own[0] == overlap
            assert end - first == SIZE, "only the last of a run is shorter"


@settings(deadline=None)
@given(RUNS, OVERLAPS)
def test_a_bridge_comes_as_soon_as_both_its_anchors_are_read(runs, overlap):
    linked = planned(runs, overlap).linked_chunks()
    done: set[int] = set()
    for frame, numbers in sorted(due_after(linked, linked).items()):
        for number in numbers:
            one = linked[number]
            assert one.span[1] - 1 <= frame < one.span[1] + SIZE
            assert one.anchor or done >= set(one.neighbours)
            done.add(number)
    assert done == set(linked)


@settings(deadline=None)
@given(RUNS, OVERLAPS, st.data())
def test_three_chunks_at_most_are_denoised_for_one(runs, overlap, data):
    plan = planned(runs, overlap)
    linked = plan.linked_chunks()
    number = data.draw(st.sampled_from(sorted(linked)))
    needed = to_denoise(linked, [number])
    assert len(needed) <= 3 and number in needed
    assert all(needed >= set(linked[n].neighbours) for n in needed if not linked[n].anchor)
    made = [i for n in needed for i in range(*linked[n].determined)]
    assert set(range(*linked[number].own)) <= set(made)
    read = with_lead_in(plan, np.arange(*linked[number].own)).tolist()
    assert read == sorted({i for n in needed for i in range(*linked[n].span)})


@settings(deadline=None)
@given(RUNS, OVERLAPS, st.integers(1, 6))
def test_segments_need_one_chunk_of_lead_in_and_none_after_them(runs, overlap, count):
    plan = planned(runs, overlap)
    linked = plan.linked_chunks()
    for start, stop in plan.segments(count):
        inside = set(plan.chunk[start:stop].tolist())
        extra = to_denoise(linked, inside) - inside
        assert extra <= {min(inside) - 1}


def test_no_frames_are_shared_across_a_jump():
    plan = planned([60], 4)
    jumps = np.zeros(60, bool)
    jumps[12] = True
    assert replace(plan, jumps=jumps).linked_chunks()[0].after is None
