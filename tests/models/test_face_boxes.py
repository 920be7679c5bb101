"""Boxes of a face detector: where the priors are, and which of those that overlap stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsync.models.face_boxes import best_boxes, decoded_boxes, overlaps_removed, priors
from latentsync.models.s3fd import S3fd, prepared

GRIDS = [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2), (1, 1)]
HEIGHT, WIDTH = 64, 128
PLACES = sum(rows * columns for rows, columns in GRIDS)


def in_pixels(boxes: np.ndarray) -> np.ndarray:
    return boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT]


def test_priors_lie_in_the_middle_of_their_places() -> None:
    boxes = in_pixels(priors(GRIDS, HEIGHT, WIDTH))
    assert len(boxes) == PLACES
    assert boxes[0].tolist() == [2, 2, 16, 16]
    assert boxes[33].tolist() == [6, 6, 16, 16]
    assert boxes[16 * 32].tolist() == [4, 4, 32, 32]


def test_without_offsets_a_box_is_its_prior() -> None:
    boxes = decoded_boxes(np.zeros((PLACES, 4), np.float32), GRIDS, HEIGHT, WIDTH)
    assert in_pixels(boxes)[0].tolist() == [-6, -6, 10, 10]


def test_offsets_move_and_stretch_a_box() -> None:
    offsets = np.zeros((PLACES, 4), np.float32)
    offsets[0] = 10, 0, 5 * np.log(2), 0  # one side to the right, twice as wide
    boxes = decoded_boxes(offsets, GRIDS, HEIGHT, WIDTH)
    np.testing.assert_allclose(in_pixels(boxes)[0], [2, -6, 34, 10], atol=1e-4)


@pytest.mark.parametrize(("allowed", "kept"), [(0.3, [0, 2]), (0.34, [0, 1, 2])])
def test_a_box_goes_where_it_overlaps_a_better_one_too_much(allowed: float, kept: list) -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2]], float)  # a third in common
    assert overlaps_removed(boxes, allowed).tolist() == kept


def test_of_no_boxes_none_stay() -> None:
    assert overlaps_removed(np.empty((0, 4)), 0.3).shape == (0,)
    assert best_boxes(np.array([0.05]), np.zeros((1, 4))).shape == (0, 5)


def test_the_best_box_comes_first_and_unlikely_ones_are_left_out() -> None:
    boxes = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]], float)
    assert best_boxes(np.array([0.5, 0.9, 0.04]), boxes)[:, 0].tolist() == [0.9, 0.5]


def test_the_second_map_covers_the_border_of_an_odd_first_one() -> None:
    with torch.device("meta"):
        maps = S3fd()(torch.zeros(1, 3, 92, 100))
    assert [tuple(one.shape[1:]) for one in maps[:3]] == [(5, 23, 25), (5, 12, 13), (5, 6, 6)]


def test_an_image_that_is_too_small_is_refused() -> None:
    assert prepared(np.zeros((128, 160, 3), np.uint8), 0.25).shape == (1, 3, 32, 40)
    with pytest.raises(ValueError, match=r"\(120, 160\) at scale 0.25"):
        prepared(np.zeros((120, 160, 3), np.uint8), 0.25)
