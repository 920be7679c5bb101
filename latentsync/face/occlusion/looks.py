"""How a face looks without an occluder: some of its frames, and the colours that it has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import cv2
import numpy as np

from latentsync.face.occlusion.appearance import Appearance
from latentsync.face.occlusion.cells import COLUMNS, ROWS
from latentsync.face.occlusion.observation import Observation

FAR = 9
"""Code values from which on a cell does not look like the face; see Appearance."""
DEPTH = 6
"""Cells inside the face's outline from which on it counts: nearer to it, a head that turns shows
hair and background."""
LUMA_BITS, CHROMA_BITS = 3, 2
"""Low bits of half the luma and of Cr and Cb that do not tell colours apart."""
_LEVELS = 256 >> LUMA_BITS, 256 >> CHROMA_BITS, 256 >> CHROMA_BITS
_DEEP = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * DEPTH + 1, 2 * DEPTH + 1))
_BESIDE = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A frame's cells beside the face's own looks.

    distance: (ROWS, COLUMNS) uint8 code values. sure: (ROWS, COLUMNS) bool, cells inside the face,
    off the lips, that do not look like it. far: the number of those that lie deep inside.
    alien: how many of them have a colour that the face has nowhere. novelty: mean distance.
    """

    distance: np.ndarray
    sure: np.ndarray
    far: int
    alien: int
    novelty: float


@dataclass(slots=True, eq=False)
class Looks:
    """See Appearance for frames; colours are collected apart, as they are never dropped."""

    appearance: Appearance = field(default_factory=Appearance)
    _colors: np.ndarray = field(default_factory=lambda: np.zeros(_LEVELS, bool))

    def add_colors(self, planes: np.ndarray, observation: Observation) -> None:
        """Those of the face below the nose, without lips."""
        self._colors[_levels(planes, observation.inside())] = True

    def compare(self, planes: np.ndarray, observation: Observation) -> Compared:
        """planes: of planes_of."""
        distance = self.appearance.distance(planes)
        inside = observation.inside()
        sure = (distance > FAR) & inside
        novelty = float(distance[inside].mean()) if inside.any() else 0.0
        if not sure.any():
            return Compared(distance, sure, 0, 0, novelty)
        face = observation.face()
        border = cv2.BORDER_CONSTANT
        deep = sure & (cv2.erode(face, _DEEP, borderType=border, borderValue=0) > 0)
        alien = self._alien(planes, deep)
        return Compared(distance, sure, int(np.count_nonzero(deep)), alien, novelty)

    def _alien(self, planes: np.ndarray, where: np.ndarray) -> int:
        if not self._colors.any() or not where.any():
            return 0
        levels = np.stack(_levels(planes, where), axis=1)[:, None] + _BESIDE
        near = np.clip(levels, 0, np.array(_LEVELS) - 1)
        known = self._colors[near[..., 0], near[..., 1], near[..., 2]].any(axis=1)
        return int(np.count_nonzero(~known))


def _levels(planes: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, ...]:
    luma, red, blue = (one[where].astype(np.intp) for one in planes.reshape(3, ROWS, COLUMNS))
    return luma >> LUMA_BITS, red >> CHROMA_BITS, blue >> CHROMA_BITS
