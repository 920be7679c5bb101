"""Hands near a face: where they are looked for, and the area that they cover."""

import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.models.hands import Hand
from latentsync.face.occlusion.drawn_hands import drawn_hand
from latentsync.face.occlusion.near_hands import SIDE, NearHands
from latentsync.face.occlusion.watch import OcclusionWatch
from tests.support.drawn_faces import RATE, bar_over, face_at, frame_of

SPREAD = np.array(
    [[0, 0], *[[(f - 2) * 6, -12 - 5 * k] for f in range(5) for k in range(4)]], np.float64
)
"""An upright open hand: wrist, five fingers of four points."""


def test_a_drawn_hand_covers_its_points_and_a_forearm():
    points = SPREAD + np.array([60, 90])
    area = drawn_hand(points)
    assert all(area[int(y), int(x)] for x, y in points)
    assert area[105, 60] == 1 and area[105, 75] == 0  # the forearm is below the wrist
    assert area[20, 20] == 0


def test_points_that_coincide_or_lie_far_away_draw_nothing():
    assert drawn_hand(np.zeros((21, 2))).max() == 0
    assert drawn_hand(SPREAD * 1000).max() == 0


class Pointer:
    """Stands in for Hands: a hand at the middle of the brightest pixels."""

    def __init__(self):
        self.resets, self.shapes = 0, []

    def __call__(self, pixels):
        self.shapes.append(pixels.shape)
        ys, xs = np.nonzero(pixels[..., 0] > 250)
        return [Hand(np.full((21, 2), (xs.mean(), ys.mean())), 1.0)] if len(xs) else []

    def reset(self):
        self.resets += 1


def face_of(x, y, width=60.0):
    box = np.array([x - width / 2, y - width / 2, x + width / 2, y + width / 2], np.float32)
    return DetectedFace(np.zeros((11, 2), np.float32), box, 0.9)


def test_a_hand_is_found_in_frame_pixels():
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[200:206, 150:156] = 255
    (hand,) = NearHands(Pointer)(pixels, face_of(140, 150))
    np.testing.assert_allclose(hand[0], (152.5, 202.5), atol=0.5)


def test_the_square_is_laid_anew_only_when_the_face_moves_far():
    made = []

    def load():
        made.append(Pointer())
        return made[-1]

    find, pixels = NearHands(load), np.zeros((300, 400, 3), np.uint8)
    for x in (140, 150, 155):
        find(pixels, face_of(x, 150))
    assert len(made) == 1 and made[0].resets == 1
    find(pixels, face_of(165, 150))
    assert made[0].resets == 2
    find(pixels, face_of(330, 150))  # another face
    assert len(made) == 2 and {shape for one in made for shape in one.shapes} == {(SIDE, SIDE, 3)}


def test_hands_are_looked_for_while_something_is_near_and_in_the_first_second():
    asked = []
    watch = OcclusionWatch(lambda _, __: asked.append(number) or [])
    for number in range(80):
        face = face_at(number)
        pixels = frame_of(face, seed=number)
        bar_over(pixels, 138.0 if 50 <= number < 60 else 210.0)
        watch.watch(pixels, [face], number / RATE, cut=False)
    assert not [number for number in asked if 26 < number < 50]
    assert len([number for number in asked if 50 <= number < 62]) >= 5
    assert 4 <= len([number for number in asked if number <= 26]) <= 8
