"""A smile that opens, closes and rounds: where each pixel of a talking face comes from.

Everything is computed in mouth coordinates: u along the line between the inner corners of the
lips (-1 and 1 at the corners), v across it, downwards, in pixels. Upper lip and lower lip move as
two smooth fields that agree outside the corners; what lies between them is the inside of the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CORNERS = (78, 308)
UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
CHIN = 152

WIDEST_GAP = 0.56
"""Largest opening between the lips, in half mouth widths."""
CLOSED_GAP = 0.012
"""The opening of a closed mouth, in the same unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Where the pixels of one frame come from. All arrays have the frame's (H, W), float32.

    skin_x, skin_y: position in the portrait of everything outside the mouth.
    inside: 1 inside the mouth, 0 outside, soft by a pixel.
    teeth: 1 where the portrait's own upper teeth show inside the mouth.
    depth: 0 at the upper lip, 1 at the lower lip.
    across: u, to shade the sides.
    """

    skin_x: np.ndarray
    skin_y: np.ndarray
    inside: np.ndarray
    teeth: np.ndarray
    depth: np.ndarray
    across: np.ndarray


class Mouth:
    """mesh: (468, 2) float32, portrait pixels."""

    def __init__(self, mesh: np.ndarray) -> None:
        left, right = mesh[CORNERS[0]], mesh[CORNERS[1]]
        self.centre = (left + right) / 2
        self.half = float(np.linalg.norm(right - left)) / 2
        self.axis = (right - left) / (2 * self.half)
        self.upper = self._curve(mesh[list(UPPER)])
        self.lower = self._curve(mesh[list(LOWER)])
        self.chin = float(self.coordinates(mesh[CHIN])[1] - _evaluate(self.lower, np.zeros(1))[0])

    def coordinates(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """points: (..., 2) pixels -> u, v."""
        offset = points - self.centre
        across = offset @ self.axis
        down = offset @ np.array([-self.axis[1], self.axis[0]], dtype=np.float32)
        return across / self.half, down

    def lookup(self, points: np.ndarray, opening: float, rounding: float) -> Lookup:
        """points: (H, W, 2) float32, portrait pixels. opening, rounding: 0..1."""
        u, v = self.coordinates(points)
        u = self._rounded(u, v, rounding)
        rest_top, rest_bottom = self._rest(u)
        top, bottom = self._lips(u, opening)
        upper = self._upper_shift(u, np.clip(top - v, 0, None), opening)
        lower = self._lower_shift(u, np.clip(v - bottom, 0, None), opening)
        skin = self._pixels(u, v - np.where(v < (top + bottom) / 2, upper, lower))
        inside = _ramp(v - top, 1.2) * _ramp(bottom - v, 1.2) * (np.abs(u) < 1)
        teeth = _ramp(rest_bottom - 2.5 - 2.5 * u**2 - v, 1.5) * _ramp(v - rest_top - 2.0, 1.5)
        depth = np.clip((v - top) / np.maximum(bottom - top, 1.0), 0, 1)
        return Lookup(skin[..., 0], skin[..., 1], inside, teeth, depth, u)

    def _curve(self, points: np.ndarray) -> np.ndarray:
        u, v = self.coordinates(points)
        basis = (1 - u**2)[:, None] * np.stack([np.ones_like(u), u, u**2], axis=1)
        return np.linalg.lstsq(basis, v, rcond=None)[0]

    def _rounded(self, u: np.ndarray, v: np.ndarray, rounding: float) -> np.ndarray:
        near = np.exp(-((u / 1.4) ** 2) - (v / (0.9 * self.half)) ** 2)
        return u * (1 + 0.24 * rounding * near)

    def _rest(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the lips in the portrait, a pixel inside, so that no tooth pixels remain."""
        return _evaluate(self.upper, u) - 1.0, _evaluate(self.lower, u) + 1.0

    def _lips(self, u: np.ndarray, opening: float) -> tuple[np.ndarray, np.ndarray]:
        """Target edges. The upper lip never rises above its place in the portrait."""
        top, bottom = self._rest(u)
        top = top + 0.45 * (bottom - top) * np.exp(-3.0 * opening)
        gap = self.half * (CLOSED_GAP + (WIDEST_GAP - CLOSED_GAP) * opening)
        return top, top + gap * np.clip(1 - u**2, 0, None) ** 0.85

    def _upper_shift(self, u: np.ndarray, above: np.ndarray, opening: float) -> np.ndarray:
        spread = u / (1 + above / self.half)
        moved = self._lips(spread, opening)[0] - self._rest(spread)[0]
        return moved * np.exp(-((above / (0.5 * self.half)) ** 2))

    def _lower_shift(self, u: np.ndarray, below: np.ndarray, opening: float) -> np.ndarray:
        spread = u / (1 + below / (0.8 * self.half))
        moved = self._lips(spread, opening)[1] - self._rest(spread)[1]
        return moved * self._jaw(below)

    def _jaw(self, below: np.ndarray) -> np.ndarray:
        """Share of the lower lip's motion for the skin below: none at the collar."""
        at_chin, neck = 0.7, 1.3 * self.half
        chin = np.clip(below / self.chin, 0, 1)
        beyond = np.clip((below - self.chin) / neck, 0, 1)
        return (1 - (1 - at_chin) * chin) * (1 - beyond**2 * (3 - 2 * beyond))

    def _pixels(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        down = np.array([-self.axis[1], self.axis[0]], dtype=np.float32)
        points = self.centre + (u * self.half)[..., None] * self.axis + v[..., None] * down
        return points.astype(np.float32)


def _evaluate(curve: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.clip(1 - u**2, 0, None) * (curve[0] + curve[1] * u + curve[2] * u**2)


def _ramp(distance: np.ndarray, width: float) -> np.ndarray:
    """0 to 1 over ``width`` pixels around distance 0."""
    return np.clip(distance / width + 0.5, 0, 1)
