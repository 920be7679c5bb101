"""Hands in a frame: 21 points each, found by their palms and followed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsync.face.models.finder import PALMS, Find, Finder
from latentsync.face.models.following import Follower, Look
from latentsync.face.models.regions import Region, around, cut, direction
from latentsync.runtime.model_file import ModelRunner
from latentsync.weights.find import find_all
from latentsync.weights.manifest import HAND_LANDMARKS, PALM_FINDER

HAND_SIZE = 21
"""Points of a hand: wrist, then thumb, index, middle, ring and little finger, four each, from the
base to the tip."""
PALM_FLOOR, PRESENCE_FLOOR = 0.5, 0.5
PALM_SIZE, PALM_SHIFT = 2.6, -0.5
HAND_REGION_SIZE, HAND_SHIFT = 2.0, -0.1
"""Sides of the regions in longer sides of the box, and how far they lie towards the fingers."""
WRIST, INDEX, MIDDLE, RING = 0, 5, 9, 13
STEADY = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Points whose box gives the next region: without fingertips."""
UP = math.pi / 2


@dataclass(frozen=True, slots=True, eq=False)
class Hand:
    """points: (21, 2) float64 frame pixels. presence: 0..1, that there is a hand."""

    points: np.ndarray
    presence: float


class Hands:
    """Finds hands and follows them: state of one video, for one thread at a time.

    10 ms for a frame with one hand on one core, 7 ms without. A hand narrower than a tenth of the
    frame is overlooked: pass a part of the frame.
    """

    def __init__(self, *, max_hands: int = 2, folders: Sequence[str | Path] = ()) -> None:
        """folders: where the weights are searched, see weights.find. Raises CheckpointError."""
        palms, points = find_all([(PALM_FINDER, None), (HAND_LANDMARKS, None)], folders=folders)
        self._finder = Finder(palms, PALMS)
        self._network = ModelRunner(points)
        self._side = self._network.shapes[0][1]
        self._follower = Follower(
            self._find, self._look, at_most=max_hands, presence=PRESENCE_FLOOR
        )

    def __call__(self, frame: np.ndarray) -> list[Hand]:
        """frame: (H, W, 3) uint8 RGB, the next of the video, all of one size."""
        return [Hand(look.points, look.presence) for look in self._follower(frame)]

    def reset(self) -> None:
        """The next frame is unrelated to the last one."""
        self._follower.reset()

    def _find(self, frame: np.ndarray) -> list[Region]:
        finds = self._finder(frame, around(frame), PALM_FLOOR)
        return [region_of_palm(find) for find in finds]

    def _look(self, frame: np.ndarray, region: Region) -> Look:
        pixels = cut(frame, region, self._side).astype(np.float32)
        raw, presence, *_ = self._network(pixels[None] / 255)
        points = region.points(raw.reshape(HAND_SIZE, 3)[:, :2] / self._side)
        return Look(points, float(presence.ravel()[0]), region_of_hand(points))


def region_of_palm(find: Find) -> Region:
    """The region of a hand whose palm was found; the fingers point up in it."""
    angle = direction(find.points[0], find.points[2], UP)
    place = find.place
    palm = Region(place.x, place.y, place.width, place.height, angle)
    return palm.square(PALM_SIZE, PALM_SHIFT)


def region_of_hand(points: np.ndarray) -> Region:
    """(21, 2) frame pixels -> the hand's region in the next frame."""
    fingers = (points[INDEX] + points[RING]) / 2
    angle = direction(points[WRIST], (fingers + points[MIDDLE]) / 2, UP)
    steady = points[list(STEADY)]
    center = (steady.min(axis=0) + steady.max(axis=0)) / 2
    upright = Region(0, 0, 1, 1, -angle).points(steady - center + 0.5)
    low, high = upright.min(axis=0), upright.max(axis=0)
    middle = Region(0, 0, 1, 1, angle).points((low + high)[None] / 2 + 0.5)[0] + center
    (x, y), (width, height) = middle.tolist(), (high - low).tolist()
    box = Region(x, y, width, height, angle)
    return box.square(HAND_REGION_SIZE, HAND_SHIFT)
