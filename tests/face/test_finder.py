"""What the finders' networks say becomes boxes, each face once."""

from __future__ import annotations

import numpy as np

from latentsync.face.models.finder import anchors, suppress


def box(x0: float, x1: float) -> np.ndarray:
    return np.array([[x0, 0.0], [x1, 1.0], [x0, 0.5]])


def test_boxes_that_overlap_by_more_than_0_3_are_averaged_by_their_scores() -> None:
    boxes = np.stack([box(0, 1), box(0.5, 1.5), box(3, 4)])  # the first two: 1/3
    (first, mean), (second, alone) = suppress(np.array([0.6, 0.9, 0.7]), boxes)
    assert (first, second) == (0.9, 0.7)
    np.testing.assert_allclose(mean, (0.6 * boxes[0] + 0.9 * boxes[1]) / 1.5)
    np.testing.assert_allclose(alone, boxes[2])


def test_a_box_of_negative_size_is_dropped() -> None:
    assert suppress(np.array([0.9]), np.stack([box(1, 0)])) == []


def test_anchors_are_the_cells_centres_row_by_row() -> None:
    np.testing.assert_allclose(
        anchors(((2, 1), (1, 2))),
        [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75], [0.5, 0.5], [0.5, 0.5]],
    )
