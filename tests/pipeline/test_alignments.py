"""The alignments of a video in arrays are those that were put in."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face.landmarks import LANDMARKS
from latentsync.pipeline.analysis import Alignments
from latentsync.types import Alignment

RNG = np.random.default_rng(0)


def made(track: int, points: int | None = 36) -> Alignment:
    matrix, landmarks = RNG.normal(size=(2, 3)), RNG.normal(size=(len(LANDMARKS), 2))
    outline = None if points is None else RNG.normal(size=(points, 2)).astype(np.float32)
    kept = matrix.astype(np.float32), landmarks.astype(np.float32)
    return Alignment(*kept, float(RNG.random()), track, outline)


@pytest.mark.parametrize(
    "given",
    [
        [None, made(0), made(0), None, made(3), None],
        [made(0, points=None), made(1, points=36), None],
        [made(0, points=36), made(1, points=30)],
        [made(2, points=None)],
    ],
    ids=["gaps", "some without an outline", "outlines of two lengths", "no outline"],
)
def test_each_frame_has_the_alignment_that_it_was_given(given: list[Alignment | None]) -> None:
    packed = Alignments.of(given)
    assert len(packed) == len(given)
    for index, (one, wanted) in enumerate(zip(packed, given, strict=True)):
        assert (one is None) == (wanted is None)
        if one is None or wanted is None:
            continue
        assert (one.track, one.confidence) == (wanted.track, wanted.confidence)
        assert one.matrix.dtype == one.landmarks.dtype == np.float32
        assert np.array_equal(one.matrix, wanted.matrix)
        assert np.array_equal(one.landmarks, wanted.landmarks)
        assert (one.outline is None) == (wanted.outline is None)
        assert one.outline is None or np.array_equal(one.outline, wanted.outline)
        assert np.array_equal(packed[index - len(given)].landmarks, wanted.landmarks)
