"""Regions of a frame: which part a network sees, and the part itself.

Points are x, y in frame pixels; an integer is a pixel's centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SAME_REGION = 0.5
"""Two regions that overlap by more (intersection over union) hold the same face or hand."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in frame pixels. angle: radians, clockwise on the screen."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    @property
    def box(self) -> np.ndarray:
        """(4,) x0, y0, x1, y1 around the rectangle."""
        corners = self.points(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float64))
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])

    def points(self, inside: np.ndarray) -> np.ndarray:
        """(N, 2) shares of width and height, 0..1 from the first corner -> frame pixels."""
        sides = (inside.astype(np.float64) - 0.5) * (self.width, self.height)
        return sides @ _rotation(self.angle).T + (self.x, self.y)

    def square(self, factor: float, shift: float = 0.0) -> Region:
        """The square of `factor` times the longer side, its centre moved by `shift` heights along
        the region's own y axis."""
        side, down = factor * max(self.width, self.height), shift * self.height
        x, y = -down * math.sin(self.angle), down * math.cos(self.angle)
        return Region(self.x + x, self.y + y, side, side, self.angle)


def around(frame: np.ndarray, quarter: int = 0) -> Region:
    """The square around the centre of a frame (H, W, 3), as a finder sees it: see turned_square."""
    height, width = frame.shape[:2]
    return turned_square((width - 1) / 2, (height - 1) / 2, max(width, height), quarter)


def turned_square(x: float, y: float, side: float, quarter: int = 0) -> Region:
    """A square for a finder around a point in frame pixels, turned by quarters of a circle.

    quarter: 1 for a face that lies on its left cheek as the viewer sees it, 2: upside down. The
    finder sees what it would see in the frame turned back.
    """
    # MediaPipe puts the centre half a pixel right of and below the middle one, also when turned.
    right, down = _rotation(quarter * math.pi / 2) @ (0.5, 0.5)
    return Region(x + float(right), y + float(down), side, side, quarter * math.pi / 2)


def cut(frame: np.ndarray, region: Region, size: int, *, black: bool = False) -> np.ndarray:
    """(size, size, 3) uint8: the region, stretched to a square; bilinear, never averaged down.

    frame: (H, W, 3) uint8. black: beyond the frame is black; otherwise its border is repeated.
    """
    scale = np.array([region.width, region.height]) / size
    matrix = np.eye(3)
    matrix[:2, :2] = _rotation(region.angle) * scale
    matrix[:2, 2] = region.points(np.zeros((1, 2)))[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
    return cv2.warpPerspective(frame, matrix, (size, size), flags=flags, borderMode=border)


def direction(start: np.ndarray, end: np.ndarray, target: float) -> float:
    """The angle of a region in which the line from start to end points at `target`.

    target: radians, 0: right, pi / 2: up. In [-pi, pi).
    """
    right, down = end - start
    angle = target - math.atan2(-down, right)
    return (angle + math.pi) % (2 * math.pi) - math.pi


def overlap(one: Region, other: Region) -> float:
    """Intersection over union, 0..1, both taken as upright."""
    width, height = (
        max(0.0, min(a + p / 2, b + q / 2) - max(a - p / 2, b - q / 2))
        for a, p, b, q in (
            (one.x, one.width, other.x, other.width),
            (one.y, one.height, other.y, other.height),
        )
    )
    shared = width * height
    union = one.width * one.height + other.width * other.height - shared
    return shared / union if union > 0 else 0.0


def distinct(regions: Sequence[Region]) -> list[Region]:
    """Without those that a later one replaces, being the same region; in order."""
    kept: list[Region] = []
    for region in regions:
        kept = [one for one in kept if overlap(one, region) <= SAME_REGION]
        kept.append(region)
    return kept


def _rotation(angle: float) -> np.ndarray:
    """(2, 2); quarters of a circle are exact."""
    cosine, sine = math.cos(angle), math.sin(angle)
    if abs(cosine) < 1e-12 or abs(sine) < 1e-12:
        cosine, sine = round(cosine), round(sine)
    return np.array([[cosine, -sine], [sine, cosine]], np.float64)
