"""Faces are cut out of both frames at the frame's own scale, large ones at a bounded size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync.evaluate.crops import FaceCrops
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.face.landmarks import LANDMARKS
from latentsync.geometry import ALIGNED_SIZE

POINT = (210, 370)  # of the aligned crop


def pair_of(
    scale: float, *, corner: tuple[int, int] = (60, 40), turn: float = 0.0, source: bool = True
) -> FramePair:
    """A black frame with a white dot where POINT lies. turn: degrees."""
    size = round(700 * scale) + 100, round(600 * scale) + 120
    back = cv2.getRotationMatrix2D((0, 0), turn, scale)
    back[:, 2] = corner
    pixels = np.zeros((*size, 3), np.uint8)
    x, y = back[:, :2] @ POINT + back[:, 2]
    cv2.circle(pixels, (round(x * 16), round(y * 16)), round(5 * scale * 16), (255,) * 3, -1, 16, 4)
    matrix = cv2.invertAffineTransform(back).astype(np.float32)
    face = SeenFace(np.zeros((len(LANDMARKS), 2), np.float32), matrix, track=0)
    mask = np.ones(ALIGNED_SIZE, np.float32)
    return FramePair(0, 0.0, pixels, pixels.copy() if source else None, face, face, False, mask)


def crops_of(pair: FramePair) -> FaceCrops:
    crops = FaceCrops.of(pair)
    assert crops is not None
    return crops


@pytest.mark.parametrize(("scale", "turn"), [(0.4, 0), (1.0, 10), (2.3, 0), (3.7, -5)])
def test_the_matrix_says_where_the_crop_lies_at_every_scale(scale: float, turn: float) -> None:
    crops = crops_of(pair_of(scale, turn=turn, corner=(90, 60)))
    rows, columns = np.nonzero(crops.result[..., 0] > 127)
    center = np.array([columns.mean(), rows.mean()])
    assert crops.matrix[:, :2] @ center + crops.matrix[:, 2] == pytest.approx(POINT, abs=0.7)


def test_pixels_of_usual_faces_are_the_frames_own_and_both_crops_are_the_same_part() -> None:
    pair = pair_of(0.8)
    crops = crops_of(pair)
    assert np.shares_memory(crops.result, pair.result)
    assert crops.source is not None
    assert crops.source.shape == crops.result.shape
    assert np.array_equal(crops.source, crops.result)


def test_a_large_face_is_no_more_work_than_the_aligned_crop() -> None:
    crops = crops_of(pair_of(4.0))
    assert crops.scale == pytest.approx(1.0, abs=0.01)
    assert crops.result.shape[0] <= ALIGNED_SIZE[0] + 8


def test_a_face_that_leaves_the_frame_is_cut_off_there() -> None:
    crops = crops_of(pair_of(0.8, corner=(-100, -50)))
    laid = crops.laid(np.ones(ALIGNED_SIZE, np.float32))
    assert laid.shape == crops.result.shape[:2]
    assert 0 < crops.result.size < 0.8**2 * 3 * np.prod(ALIGNED_SIZE)


def test_without_a_face_there_is_nothing_to_cut_out() -> None:
    pair = pair_of(0.8, source=False)
    assert crops_of(pair).source is None
    nobody = FramePair(0, 0.0, pair.result, None, None, None, False, pair.mask)
    assert FaceCrops.of(nobody) is None
