"""Transplants the mouth of one frame into another frame of the same face.

Geometry is in pixels of the aligned crop (420x560), whatever the side of the square. It is computed
at every fourth pixel of the square and interpolated, as it is smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from latentsync.generate.replay.database import FIRST_ROW

ALIGNED_WIDTH, ALIGNED_HEIGHT = 420, 560

NOSTRILS = 281.0
"""First row of the skin below the nostrils: 278 +- 2.4 on a face that turns and nods."""
RISE = 26.0  # rows from there over which the new skin is blended in
ABOVE_LIPS = 5.0
"""Rows between there and the lips: else an open mouth shows through a closed one."""
MOST_LIFTED = 18.0
"""Rows by which the region may end higher for that: on a broad smile the lips reach row 294."""
HALF_WIDTH = 128.0  # of the region; a broad smile reaches 85 from its middle
ABOVE_CHIN = 6.0  # rows between the region's end and the tip of the chin
SQUARENESS = 2.6  # exponent: 2 an ellipse, more a box
SEAM = 0.42  # share of the way to the region's middle over which it is blended in
JAW = 95.0, 48.0
"""Sigmas, across and down, of the area that moves with the chin."""
JAW_LIMIT = 28.0  # greatest movement of the chin, in rows; beyond, the skin would fold
EDGE = 40.0  # pixels from the mask's edge over which the movement of the jaw sets in
BORDER = 14.0
"""Pixels from the mask's edge over which the new skin is blended in: an open mouth that lies nearer
shows through a closed one."""
LIPS = 42.0, 30.0
"""Sigmas of the area that moves with a lip point where two mouths are warped to one shape."""
STIFFNESS = 0.05  # regularisation of the warp
SHUT = 8.0
"""Pixels between the inner edges of the lips up to which two mouths may be blended: of open ones,
the teeth of both would be seen."""
INNER_EDGE = 5.0  # pixels from the lips' inner edges over which the inside's colour sets in
LEFT, RIGHT, UPPER, LOWER, CHIN = range(5)  # places in head_pose.MOUTH

_STEP = 4  # pixels of the square
_ALIKE = 0.05  # pixels; shapes that differ by less are not warped
_COARSE = 8  # pixels of the square per pixel of the colour comparison
_FAINT = 0.05  # seam weight below which pixels do not count
_ROUNDS = 6  # of the robust fit
_RIDGE = 1e-3  # regularisation towards no correction, as a share of the seam's weight
_LEVEL = 1 / 127.5  # a code value


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """A source mouth.

    pixels: (h, R, 3) uint8 RGB, the lowest rows of a square, from FIRST_ROW of it or above.
    points: (5, 2) aligned pixels of the source crop, head_pose.MOUTH. placed: (2, 3), aligned
    pixels of the target -> of the source, see head_pose.placement. share: in a dissolve; they sum
    to 1, and the first has the most.
    """

    pixels: np.ndarray
    points: np.ndarray
    placed: np.ndarray
    share: float = 1.0

    def points_in_target(self) -> np.ndarray:
        """(5, 2) aligned pixels of the target."""
        back = cv2.invertAffineTransform(self.placed.astype(np.float64))
        return self.points @ back[:, :2].T + back[:, 2]

    def aperture(self) -> float:
        """Between the inner edges of the lips, in aligned pixels of the source."""
        return float(np.linalg.norm(self.points[LOWER] - self.points[UPPER]))


class Transplanter:
    """Transplants mouths into square crops of one size.

    mask: (R, R) float in [0, 1]; where it is 0 a crop is unchanged, bit for bit.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.side = len(mask)
        self._top = round(self.side * FIRST_ROW)
        self._scale = np.array([ALIGNED_WIDTH, ALIGNED_HEIGHT]) / self.side
        self._kept = mask[self._top :] <= 0
        rows = np.arange(self._top, self.side + _STEP, _STEP)
        columns = np.arange(0, self.side + _STEP, _STEP)
        places = np.stack(np.meshgrid(columns, rows), axis=-1)
        self._grid = (places + 0.5) * self._scale - 0.5
        inside = np.pad(mask > 0, 1).astype(np.uint8)  # the square's border counts as an edge
        away = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        last = self.side - 1
        near = away[np.ix_(rows.clip(max=last), columns.clip(max=last))]
        near = near * self._scale.mean()
        self._free = np.clip(near / EDGE, 0, 1)[..., None]
        self._border = _smooth(near / BORDER)

    def __call__(
        self,
        crop: torch.Tensor,
        points: np.ndarray,
        rest: np.ndarray,
        mouths: Sequence[Mouth],
        *,
        gain: np.ndarray | float = 1.0,
    ) -> torch.Tensor:
        """crop: (3, R, R) float32 RGB [-1, 1] -> the same with the mouths in it.

        points: (5, 2) aligned pixels, mouth of the crop. rest: (6, 2), head_pose.RESTING points of
        its pose. mouths: one, or two to be dissolved, warped to a common shape; of two of which one
        is open, the first alone is seen. gain: (3,), of the skin's colour from the mouths' frames
        to this one. The jaw moves to fit the new mouth. Not clamped.
        """
        lower = np.ascontiguousarray(crop[:, self._top :].permute(1, 2, 0).numpy())
        goal = np.sum([one.share * one.points_in_target() for one in mouths], axis=0)
        fall = (goal[CHIN] - points[CHIN]).clip(-JAW_LIMIT, JAW_LIMIT)
        goal[CHIN] = points[CHIN] + fall
        jaw = fall * self._free * _hill(self._grid, goal[CHIN], JAW)[..., None]
        target = self._sampled(lower, self._grid - jaw)
        seen = mouths if all(one.aperture() <= SHUT for one in mouths) else mouths[:1]
        total = sum(one.share for one in seen)
        new = np.zeros_like(target)
        for one in seen:
            new += one.share / total * self._shaped(one, goal)
        region = self._fine(skin_region(self._grid, rest, points, goal) * self._border)
        new += self._correction(target, new, region, goal, gain)
        target += region[..., None] * (new - target)
        target[self._kept] = lower[self._kept]
        out = crop.clone()
        out[:, self._top :] = torch.from_numpy(target).permute(2, 0, 1)
        return out

    def _correction(
        self,
        target: np.ndarray,
        new: np.ndarray,
        region: np.ndarray,
        goal: np.ndarray,
        gain: np.ndarray | float,
    ) -> np.ndarray:
        """(h, R, 3): colour to add to the new mouth: the seam's on the skin, and inside the lips
        the skin's gain, as a sum that is right for skin makes dark pixels and teeth blue."""
        skin = low_frequencies(target - new, band(region))
        inside = self._fine(inside_of(self._grid, goal))[..., None]
        lit = ((new + 1) * (gain - 1.0)).astype(np.float32)
        return np.asarray(skin + inside * (lit - skin))

    def _shaped(self, mouth: Mouth, goal: np.ndarray) -> np.ndarray:
        """The mouth in the target's geometry, its points warped to the goal."""
        at = self._grid + _bend(self._grid, goal, mouth.points_in_target())
        there = at @ mouth.placed[:, :2].T + mouth.placed[:, 2]
        return self._sampled(mouth.pixels.astype(np.float32) / 127.5 - 1, there)

    def _sampled(self, pixels: np.ndarray, at: np.ndarray) -> np.ndarray:
        """pixels: (h, R, 3) float32, a square's lowest rows. at: aligned pixels, on the grid."""
        places = (at + 0.5) / self._scale - 0.5 - [0, self.side - len(pixels)]
        x, y = cv2.split(self._fine(places))
        seen = cv2.remap(pixels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen)

    def _fine(self, values: np.ndarray) -> np.ndarray:
        """On the grid -> (h, R, ...) float32, at every pixel of the lower part."""
        step = np.array([[_STEP, 0.0, 0.0], [0.0, _STEP, 0.0]])
        size = self.side, self.side - self._top
        return cv2.warpAffine(values.astype(np.float32), step, size, flags=cv2.INTER_LINEAR)


def skin_region(
    grid: np.ndarray, rest: np.ndarray, points: np.ndarray, goal: np.ndarray
) -> np.ndarray:
    """(h, w) in [0, 1], 1 where the new mouth is shown: a rounded box with soft edges.

    grid: (h, w, 2) aligned pixels. points, goal: (5, 2), the old mouth and the new one. From below
    the nostrils to above the chin, wide enough for both mouths. It follows head and jaw.
    """
    lips = min(points[:CHIN, 1].min(), goal[:CHIN, 1].min())
    lifted = float(np.clip(NOSTRILS + RISE + ABOVE_LIPS - lips, 0, MOST_LIFTED))
    out = region_radius(grid, rest[[LEFT, RIGHT], 0].mean(), goal[CHIN, 1], lifted=2 * lifted)
    first = NOSTRILS - lifted / 3  # the rest of the way is a shorter rise
    rise = RISE - lifted * 2 / 3
    return _smooth((1 - out) / SEAM) * _smooth((grid[..., 1] - first) / rise)


def region_radius(
    grid: np.ndarray, middle: float, chin: float, *, lifted: float = 0.0
) -> np.ndarray:
    """(h, w): distance from the middle of the region, 1 where it ends.

    grid: (h, w, 2) aligned pixels. middle: its column. chin: row of the tip of the chin. lifted:
    rows by which it begins higher than usual.
    """
    bottom, top = chin - ABOVE_CHIN, NOSTRILS - RISE - lifted
    half = np.array([HALF_WIDTH, max((bottom - top) / 2, 1.0)])
    away = np.abs((grid - [middle, (top + bottom) / 2]) / half)
    return np.asarray((away**SQUARENESS).sum(axis=-1) ** (1 / SQUARENESS))


def inside_of(grid: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1], 1 inside the lips: between two arcs from corner to corner.

    grid: (h, w, 2), goal: (5, 2) aligned pixels.
    """
    left, across = goal[LEFT], goal[RIGHT] - goal[LEFT]
    length = max(float(np.linalg.norm(across)), 1.0)
    down = np.array([-across[1], across[0]]) / length
    along = ((grid - left) @ across / length**2).clip(0, 1)
    arch = 4 * along * (1 - along)
    upper, lower = ((goal[edge] - left) @ down * arch for edge in (UPPER, LOWER))
    height = (grid - left) @ down
    return _smooth(np.minimum(height - upper, lower - height) / INNER_EDGE)


def band(region: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1]: weight of the seam, 1 where the region is 0.5."""
    return 4 * region * (1 - region)


def low_frequencies(gap: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """gap: (h, w, 3) float32, weight: (h, w) -> (h, w, 3) float32: the best quadratic surface.

    A robust fit: outliers (a fold, a hair, the background) get little weight.
    """
    height, width = weight.shape
    small = max(1, width // _COARSE), max(1, height // _COARSE)
    coarse = cv2.resize(gap, small, interpolation=cv2.INTER_AREA).reshape(-1, gap.shape[-1])
    counts = cv2.resize(weight, small, interpolation=cv2.INTER_AREA).ravel().astype(np.float64)
    y, x = (np.indices(small[::-1]).reshape(2, -1) + 0.5) / np.array(small[::-1])[:, None] * 2 - 1
    surface = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    seam = counts > _FAINT
    here, values, counts = surface[seam], coarse[seam].astype(np.float64), counts[seam]
    ridge = _RIDGE * max(counts.sum(), 1.0) * np.eye(surface.shape[1])
    share = counts
    for _ in range(_ROUNDS):
        weighted = here * share[:, None]
        found = np.linalg.solve(here.T @ weighted + ridge, weighted.T @ values)
        off = np.abs(values - here @ found).max(axis=1, initial=0.0)
        usual = max(2 * float(np.median(off)), _LEVEL) if len(off) else _LEVEL
        share = counts / (1 + (off / usual) ** 2)
    smooth = (surface @ found).reshape(*small[::-1], -1).astype(np.float32)
    return cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)


def _bend(grid: np.ndarray, goal: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(h, w, 2): sampling offsets that move the source points to the goal."""
    if np.abs(source - goal).max() < _ALIKE:
        return np.zeros_like(grid)
    hills = np.stack([_hill(grid, point, LIPS) for point in goal], axis=-1)
    between = np.stack([_hill(goal, point, LIPS) for point in goal], axis=-1)
    return hills @ np.linalg.solve(between + STIFFNESS * np.eye(len(goal)), source - goal)


def _hill(places: np.ndarray, top: np.ndarray, sigmas: tuple[float, float]) -> np.ndarray:
    return np.exp(-0.5 * (((places - top) / sigmas) ** 2).sum(axis=-1))


def _smooth(share: np.ndarray) -> np.ndarray:
    share = share.clip(0, 1)
    return share * share * (3 - 2 * share)
