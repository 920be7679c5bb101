"""The part of a patch that shows. The rest is there for the restorer's eyes, and to be cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch

from latentsync.restore.residual import reach, residual
from latentsync.types import Box

_Picture = TypeVar("_Picture", np.ndarray, torch.Tensor)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One track's.

    shown: the patch's pixels where the mask is not 0. needed: those that the residual there is made
    of. mask: (h, w) float32, of the part shown. low_cut: sigma, patch pixels; see residual().
    """

    shown: Box
    needed: Box
    mask: np.ndarray
    low_cut: float

    @classmethod
    def of(cls, mask: np.ndarray, *, low_cut: float) -> Site:
        """mask: (h, w) float32 of the whole patch; where it is 0 all over, all is needed."""
        height, width = mask.shape
        x, y, across, down = cv2.boundingRect((mask > 0).view(np.uint8))
        shown = Box(x, y, x + across, y + down) if across else Box(0, 0, width, height)
        halo = reach(low_cut)
        low = max(shown.x0 - halo, 0), max(shown.y0 - halo, 0)
        needed = Box(*low, min(shown.x1 + halo, width), min(shown.y1 + halo, height))
        return cls(shown, needed, np.ascontiguousarray(_cut(mask, shown)), low_cut)

    def residuals(self, restored: torch.Tensor, mouths: torch.Tensor) -> torch.Tensor:
        """Whole patches, both (N, 3, h, w) -> (N, 3, h', w'), what to add where they show."""
        needed, shown = self.needed, self.shown
        changes = residual(_cut(restored, needed), _cut(mouths, needed), low_cut=self.low_cut)
        x, y = needed.x0, needed.y0
        return _cut(changes, Box(shown.x0 - x, shown.y0 - y, shown.x1 - x, shown.y1 - y))

    def matrix(self, matrix: np.ndarray) -> np.ndarray:
        """(2, 3), frame pixels -> patch pixels -> the same, to the pixels of the part shown."""
        return matrix - np.array([[0, 0, self.shown.x0], [0, 0, self.shown.y0]])


def _cut(picture: _Picture, box: Box) -> _Picture:
    return picture[..., box.y0 : box.y1, box.x0 : box.x1]
