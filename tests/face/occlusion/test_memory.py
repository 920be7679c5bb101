"""What stays in memory of a video's faces: hours of it must fit."""

import pickle

import numpy as np
import pytest

from latentsync.face.occlusion.find import find_occluders
from latentsync.face.occlusion.watch import OcclusionWatch
from latentsync.face.occlusion.watched import Watched
from tests.support.drawn_faces import RATE, alignment_of, bar_over, face_at, frame_of

LITTLE = 1500
"""Bytes of an observation without cells: landmarks and outline, which its face holds, too."""
RAW = 56_250
"""Bytes of cells that are not compressed."""


def seen(frames, *, shot=None, lefts=(0.0, 140.0), bar=lambda number: False, finish=True):
    """The observations of drawn faces, with a cut every shot frames."""
    watch, found = OcclusionWatch(), []
    for number in range(frames):
        faces = [face_at(number, left) for left in lefts]
        pixels = frame_of(*faces, seed=number)
        if bar(number):
            bar_over(pixels, 138.0)
        cut = shot is not None and number % shot == 0
        found += watch.watch(pixels, faces, number / RATE, cut)
    if finish:
        watch.finish()
    return found


def sizes(observations):
    return [len(pickle.dumps(one)) for one in observations]


@pytest.mark.parametrize("shot", [1, 25, 75])
def test_of_calm_shots_nothing_is_kept(shot):
    assert max(sizes(seen(100, shot=shot))) < LITTLE


def test_of_the_last_shot_little_is_kept_where_nothing_says_that_the_video_ends():
    found = seen(125, shot=25, finish=False)
    assert max(sizes(found[:-50])) < LITTLE


def test_of_a_face_that_is_gone_for_long_nothing_is_kept():
    watch, face = OcclusionWatch(), face_at(0)
    found = [
        one
        for number in range(30)
        for one in watch.watch(frame_of(face, seed=number), [face], number / RATE, cut=False)
    ]
    assert max(sizes(found)) > LITTLE
    watch.watch(frame_of(), [], 3.3, cut=False)
    assert max(sizes(found)) < LITTLE


def test_what_is_in_front_of_a_face_at_a_cut_is_kept_compressed():
    found = seen(80, shot=40, lefts=(40.0,), bar=lambda number: 25 <= number < 40)
    shown = sizes(found[25:40])
    assert min(shown) > LITTLE and max(shown) < RAW / 2
    assert max(sizes(found[40:])) < LITTLE


def test_a_finished_video_has_the_same_occluders():
    def occluders(finish):
        found = seen(60, lefts=(40.0,), bar=lambda number: 30 <= number < 45, finish=finish)
        alignments = [alignment_of(face_at(i), i) for i in range(60)]
        return find_occluders(found, alignments, np.arange(60) / RATE)

    finished, other = occluders(True), occluders(False)
    assert set(range(30, 45)) <= set(finished)
    assert list(finished) == list(other)
    apart = [np.mean(finished.mask_of(i) != other.mask_of(i)) for i in finished]
    assert max(apart) < 0.02  # frames that still waited were not compressed


def test_what_is_kept_is_decided_for_each_unbroken_run_too():
    face = face_at(0)
    watched = Watched(face, 0.0)
    for number in (*range(10), *range(20, 35)):  # links end after 0.2 seconds without the face
        watched.observe(frame_of(face, seed=number), face, number / RATE)
    watched.settle()
    ends = [(seconds[0], seconds[-1]) for _, seconds in watched.runs()]
    assert ends == [(0.0, 34 / RATE), (0.0, 9 / RATE), (20 / RATE, 34 / RATE)]
