"""Finds hands near a face: in a part of the frame around it, as in a wide shot they are small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.models.hands import Hands
from latentsync.face.occlusion.cells import moved

WIDTHS = 3.0
"""Side of the square around the face that is searched, in face widths."""
SIDE = 384
"""Pixels of that square as the networks see it."""
DRIFT = 0.3
"""Face widths by which a face may move before the square is laid anew: hands are followed in it."""
MOST_SQUARES = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Square:
    """center: (2,) frame pixels. matrix: (2, 3), frame -> square."""

    center: np.ndarray
    width: float
    matrix: np.ndarray
    hands: Hands


class NearHands:
    """A HandFinder for OcclusionWatch; state of one video. 10 ms a call with a hand, 7 without."""

    def __init__(self, load: Callable[[], Hands] = Hands) -> None:
        """load: makes a finder; called at once, so that missing weights raise CheckpointError
        here, and for each further face."""
        self._load = load
        self._spare: Hands | None = load()
        self._squares: list[_Square] = []

    def __call__(self, pixels: np.ndarray, face: DetectedFace) -> list[np.ndarray]:
        """pixels: (H, W, 3) uint8 RGB -> hands, each (21, 2) float64 frame pixels."""
        square = self._square(face)
        part = cv2.warpAffine(pixels, square.matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        back = cv2.invertAffineTransform(square.matrix)
        return [moved(hand.points, back) for hand in square.hands(np.asarray(part, np.uint8))]

    def _square(self, face: DetectedFace) -> _Square:
        width = float(max(face.box[2] - face.box[0], 1.0))
        for one in self._squares:
            apart = float(np.linalg.norm(one.center - face.center))
            if apart < DRIFT * one.width and 0.8 < width / one.width < 1.25:
                return one
        near = [one for one in self._squares if np.linalg.norm(one.center - face.center) < width]
        if near:
            self._squares.remove(near[0])
            hands = near[0].hands
        elif len(self._squares) >= MOST_SQUARES:
            hands = self._squares.pop(0).hands
        else:
            hands, self._spare = self._spare or self._load(), None
        hands.reset()
        made = _Square(face.center, width, _to_square(face.center, width), hands)
        self._squares.append(made)
        return made


def _to_square(center: np.ndarray, width: float) -> np.ndarray:
    scale = SIDE / (WIDTHS * width)
    shift = (SIDE - 1) / 2 - scale * center
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
