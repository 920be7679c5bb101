"""How one face looks without an occluder: a few of its frames, and how far others are from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from latentsync.face.occlusion.cells import BESIDE, COLUMNS, ROWS

REACH = 2
"""Cells by which what a face shows may move between frames: speech, and landmarks that jitter."""
DEEPEST_GAIN = 1.35
"""Most that the brightness of a colour is changed to undo a change of light."""
_KERNEL = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
_UPPER = slice(22, 50), slice(BESIDE + 24, BESIDE + 82)
"""From the brows to the tip of the nose: seldom occluded, so the light is measured there."""


def light_of(cells: np.ndarray) -> np.ndarray:
    """(3,) float64: the median colour of the upper face. cells: (ROWS, COLUMNS, 3) uint8."""
    upper = cells[_UPPER].reshape(-1, 3)
    middle = len(upper) // 2
    channels = np.partition(np.ascontiguousarray(upper.T), middle, axis=1)
    return channels[:, middle].astype(np.float64) + 1


def planes_of(cells: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(3 * ROWS, COLUMNS) uint8: half the luma, Cr and Cb, one below the other, under that light.

    Luma counts half: shadows change it, and hardly the colour.
    """
    gain = np.clip(light / light_of(cells), 1 / DEEPEST_GAIN, DEEPEST_GAIN)
    lit = cv2.convertScaleAbs(cells.astype(np.float32) * gain.astype(np.float32))
    colors = cv2.cvtColor(cv2.GaussianBlur(lit, (3, 3), 0), cv2.COLOR_RGB2YCrCb)
    luma, *chroma = cv2.split(colors)
    return np.concatenate([np.asarray(luma) // 2, *chroma])


@dataclass(slots=True, eq=False)
class Appearance:
    """The ranges of colour that the frames of one face show around each cell.

    A cell is as far from the face as its colour lies outside the nearest frame's range within
    REACH cells.
    """

    _low: list[np.ndarray] = field(default_factory=list)
    _high: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(cls, frames: Iterable[np.ndarray]) -> Appearance:
        """frames: of planes_of."""
        made = cls()
        for planes in frames:
            made.add(planes)
        return made

    def __len__(self) -> int:
        return len(self._low)

    def add(self, planes: np.ndarray) -> None:
        parts = planes.reshape(3, ROWS, COLUMNS)
        self._low.append(np.concatenate([cv2.erode(part, _KERNEL) for part in parts]))
        self._high.append(np.concatenate([cv2.dilate(part, _KERNEL) for part in parts]))

    def remove(self, index: int) -> None:
        del self._low[index], self._high[index]

    def distance(self, planes: np.ndarray) -> np.ndarray:
        """(ROWS, COLUMNS) uint8 code values; 0 where nothing was added yet."""
        nearest = np.full((ROWS, COLUMNS), 255 if self._low else 0, np.uint8)
        for low, high in zip(self._low, self._high, strict=True):
            beyond = cv2.max(cv2.subtract(planes, high), cv2.subtract(low, planes))
            luma, red, blue = beyond.reshape(3, ROWS, COLUMNS)
            nearest = np.asarray(cv2.min(nearest, cv2.max(luma, cv2.max(red, blue))))
        return nearest
