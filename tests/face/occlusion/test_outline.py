"""The face's outline as a mask."""

import numpy as np
import pytest

from latentsync.face.masks import region_mask
from latentsync.face.occlusion import outline
from latentsync.face.occlusion.outline import CHIN, FADED, GROWN, face_mask, steady_outlines
from tests.support.drawn_faces import alignment_of, face_at


@pytest.fixture
def one():
    return alignment_of(face_at(0), 0)


def at(mask, x, y):
    """x, y: aligned pixels."""
    return mask[round((y - 1.5) / 4), round((x - 1.5) / 4)]


def test_the_mask_is_1_on_the_face_and_0_beside_it(one):
    mask = face_mask(one.outline, one.matrix)
    assert at(mask, 210, 400) == 1 and at(mask, 45, 270) == 1
    assert at(mask, 380 + GROWN - 4, 270) == 1
    assert 0 < at(mask, 380 + (GROWN + FADED) / 2, 270) < 1
    assert at(mask, 380 + FADED + 4, 270) == 0 and at(mask, 4, 500) == 0


def test_the_chin_has_room_for_a_mouth_that_opens_wider(one):
    mask = face_mask(one.outline, one.matrix)
    assert at(mask, 210, 500 + CHIN - 4) == 1
    assert at(mask, 210, 500 + CHIN + FADED - 2) < 0.5


def test_the_mouth_of_a_frontal_face_loses_nothing(one):
    mask = face_mask(one.outline, one.matrix)
    assert mask[region_mask("mouth")[2::4, 2::4] > 0].min() == 1


def test_an_outline_elsewhere_gives_an_empty_mask(one):
    assert face_mask(one.outline + 1000, one.matrix).max() == 0


def test_steady_outlines_jitter_less_and_stay_where_the_face_is():
    faces = [alignment_of(face_at(i), i) for i in range(30)]
    rng = np.random.default_rng(1)
    noisy = [one.outline + rng.normal(0, 1.5, (36, 2)).astype(np.float32) for one in faces]
    matrices, seconds = np.stack([one.matrix for one in faces]), np.arange(30) / 25
    steady = steady_outlines(noisy, matrices, seconds)
    strays = [
        np.abs(np.stack(some) - np.stack([one.outline for one in faces])).mean()
        for some in (noisy, steady)
    ]
    assert strays[1] < 0.6 * strays[0]


def test_frames_without_an_outline_stay_without():
    faces = [alignment_of(face_at(i), i) for i in range(6)]
    outlines = [None if i in (2, 5) else one.outline for i, one in enumerate(faces)]
    matrices = np.stack([one.matrix for one in faces])
    steady = steady_outlines(outlines, matrices, np.arange(6) / 25)
    assert [one is None for one in steady] == [i in (2, 5) for i in range(6)]
    assert steady_outlines([None], matrices[:1], np.zeros(1)) == [None]


def test_outlines_smoothed_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    outlines = list(rng.normal(100, 5, (50, 36, 2)).astype(np.float32))
    outlines[20] = None
    matrices = np.tile(np.array([[1, 0, 5], [0, 1, 7]], np.float32), (50, 1, 1))
    at_once = steady_outlines(outlines, matrices, np.arange(50) / 25)
    monkeypatch.setattr(outline, "BLOCK", 7)
    in_blocks = steady_outlines(outlines, matrices, np.arange(50) / 25)
    assert in_blocks[20] is None
    for one, other in zip(at_once, in_blocks, strict=True):
        assert one is None or np.array_equal(one, other)
