"""Hands are found, followed and forgotten; a drawn one stands for a real one."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face.models.hands import Hands
from tests.support.drawn_hand import TIPS, drawn_hand

FINGERTIPS = [4, 8, 12, 16, 20]


def test_a_hand_has_its_fingertips_where_they_were_drawn() -> None:
    (hand,) = Hands()(drawn_hand())
    assert hand.points.shape == (21, 2) and hand.presence > 0.9
    assert np.linalg.norm(hand.points[FINGERTIPS] - TIPS, axis=1).max() < 15


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_hand_may_point_anywhere(quarters: int) -> None:
    (hand,) = Hands()(np.ascontiguousarray(np.rot90(drawn_hand(), quarters)))
    tips = TIPS
    for _ in range(quarters):
        tips = np.stack([tips[:, 1], 479 - tips[:, 0]], axis=1)
    assert np.linalg.norm(hand.points[FINGERTIPS] - tips, axis=1).max() < 15


def test_a_moving_hand_is_followed_without_another_search() -> None:
    hands = Hands(max_hands=1)
    (first,) = hands(drawn_hand())
    for step in (5, 10, 15):
        (hand,) = hands(np.roll(drawn_hand(), step, axis=1))
    moved = (hand.points - first.points).mean(axis=0)
    np.testing.assert_allclose(moved, [15, 0], atol=2)


def test_two_hands_are_two_and_a_third_is_too_many() -> None:
    wide = np.hstack([drawn_hand()] * 3)
    assert len(Hands()(wide)) == 2
    assert len(Hands(max_hands=3)(wide)) == 3


def test_no_hand_no_points_and_a_hand_that_leaves_is_gone() -> None:
    hands, empty = Hands(), np.full((480, 480, 3), 120, np.uint8)
    assert [len(hands(frame)) for frame in (empty, drawn_hand(), empty)] == [0, 1, 0]


def test_after_a_reset_the_first_frame_is_as_for_a_new_object() -> None:
    hands = Hands()
    expected = hands(drawn_hand())[0].points
    hands(np.roll(drawn_hand(), 20, axis=1))
    hands.reset()
    np.testing.assert_array_equal(hands(drawn_hand())[0].points, expected)
