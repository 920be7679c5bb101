"""Which mouths fit into which frames: limits on head pose and cheeks, not weights.

A mouth of a turned head in a frontal face covers the edge of the cheek, and a shut mouth between
the folds of a smile is no face's: no lip motion is worth that. A frame in which nothing fits keeps
its own mouth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from latentsync.generate.replay.transplant import ALIGNED_HEIGHT, ALIGNED_WIDTH, region_radius

SIDE = 32
"""Side of the squares that cheeks are compared in: 13 x 17 aligned pixels each, so that a fold or
the edge of a cheek counts and the grain of the skin does not."""
STRIKING = 30.0
"""Difference from the skin, in code values, beyond which it hardly matters how much more a pixel
differs: dark hair beside a cheek would outweigh a fold."""
CHEEKS_LIMIT = 12.0
"""Greatest distance of two frames' left or right cheeks, in code values. Where a mouth is
transplanted between frames with like lips, its error is 1.05 times that of neighbouring frames
below 4, 1.2 from 7 on, 1.4 from 10 on and 1.7 to 2 above 20; its seam shows 3, 7, 9 and 14 to 17
code values (medians of eleven people; without any one of them they change by a tenth)."""
EDGES_LIMIT = 14.0
"""Greatest difference of the places of the face's edges beside the mouth, in aligned pixels. The
same error is 1.2 to 1.3 below, 1.4 above, and 1.7 from 30 on."""
POSE_LIMITS = 0.16, 0.2
"""Half axes of the ellipse of like head poses, across and down: see lips.head_pose; each is about
19 degrees. The same error is 1.15 in the inner quarter, 1.4 at the border, 1.8 at twice that."""
WIDTH_LIMITS = -0.16, 0.3
"""How much narrower or wider than its own mouth the new one may be, in distances between the brows.
The folds of a smile, and its corners, reach beyond the region that is replaced."""
ELSEWHERE = 0.5
"""Seconds from the frame that is shown. Its neighbours always fit, with about the same lips."""
LEAST_CHOICE = 0.4
"""Seconds of fitting frames elsewhere below which a frame has no fitting unit."""
FADE = 0.13
"""Seconds over which a mouth fades in and out where frames without a unit follow: 4 frames at 30 a
second."""
SHORTEST = 0.5
"""Seconds below which a mouth between frames without a unit is not shown: it would flicker."""
MOST_GAIN = 1.5
"""Greatest change of the light inside a mouth, as a factor."""

CHIN_ROW = 489.0
"""Aligned row of the tip of the chin, of a face that looks ahead."""
_INNER, _OUTER = 0.6, 1.15
"""Borders of the cheeks around the region of a mouth, 1 where the region ends."""
_ROWS = 280.0, 400.0  # aligned; below, the jaw moves with speech
_REACH = 150.0
"""Pixels from the middle of the crop beyond which an edge of the face does not matter."""
_BESIDE = 320.0, 360.0, 400.0  # aligned rows at which the edges are found


@dataclass(frozen=True, slots=True, eq=False)
class Cheeks:
    """The cheeks around the mouths of some faces of a video. 0.6 kB each.

    places: (P,) int, rising, of the faces. shape: (P, C) float16, the left and the right cheek in
    its halves: two halves are apart by their distance in 8-bit code values, without that of their
    skins. skin: (P, 3) float32 RGB code values, the median colour.
    """

    places: np.ndarray
    shape: np.ndarray
    skin: np.ndarray

    def shapes(self, places: np.ndarray) -> np.ndarray:
        """(n, C) float32, of the faces at these places."""
        return self.shape[np.searchsorted(self.places, places)].astype(np.float32)

    def skins(self, places: np.ndarray) -> np.ndarray:
        """(n, 3) float32, of the faces at these places."""
        return self.skin[np.searchsorted(self.places, places)]


def cheeks_of(places: np.ndarray, crops: Iterable[torch.Tensor]) -> Cheeks:
    """places: (P,) int, rising. crops: (3, SIDE, SIDE) float32 RGB [-1, 1], aligned crops."""
    left = _left_cheek()
    both = np.concatenate([np.argwhere(left), np.argwhere(left[:, ::-1])]).T
    scale = np.float32(STRIKING / np.sqrt(3 * left.sum()))
    shapes, skins = [], []
    for crop in crops:
        pixels = (crop.numpy()[:, both[0], both[1]].T + 1) * np.float32(127.5)
        skins.append(np.median(pixels, axis=0))
        shape = np.tanh((pixels - skins[-1]) / np.float32(STRIKING)) * scale
        shapes.append(shape.ravel().astype(np.float16))
    return Cheeks(places, np.array(shapes), np.array(skins, np.float32))


def face_edges(outlines: Sequence[np.ndarray | None]) -> np.ndarray:
    """(F, 2) float64: columns of the face's left and right edge beside the mouth; nan: unknown.

    outlines: F of (K, 2) aligned pixels, closed; None: there is none. An edge farther from the
    mouth than any seam is put at that distance.
    """
    middle = ALIGNED_WIDTH / 2
    edges = np.full((len(outlines), 2), np.nan)
    for f, outline in enumerate(outlines):
        if outline is not None:
            edges[f] = np.mean([_crossings(outline, row) for row in _BESIDE], axis=0)
    return edges.clip([middle - _REACH, middle], [middle, middle + _REACH])


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a new mouth has to fit to, of F frames.

    cheeks: (F, C) float32, Cheeks.shapes. edges: (F, 2), face_edges. width: (F,), of the mouth as
    filmed, see lips.lip_shape. pose: (F, 2), lips.head_pose.
    """

    cheeks: np.ndarray
    edges: np.ndarray
    width: np.ndarray
    pose: np.ndarray

    def __getitem__(self, part: slice) -> Look:
        return Look(self.cheeks[part], self.edges[part], self.width[part], self.pose[part])


def fits(target: Look, units: Look) -> np.ndarray:
    """(B, M) bool: which of M units fit into B frames."""
    fit = np.ones((len(target.pose), len(units.pose)), bool)
    half = target.cheeks.shape[1] // 2
    for side in (slice(0, half), slice(half, None)):
        one, other = target.cheeks[:, side], units.cheeks[:, side]
        squares = one @ other.T * np.float32(-2)
        squares += (one**2).sum(axis=1)[:, None]
        squares += (other**2).sum(axis=1)
        fit &= squares <= CHEEKS_LIMIT**2
    for k in range(2):
        apart = np.abs(_differences(target.edges[:, k], units.edges[:, k]))
        fit &= ~(apart > EDGES_LIMIT)  # an unknown edge excludes nothing
    wider = _differences(target.width, units.width)
    fit &= (wider >= WIDTH_LIMITS[0]) & (wider <= WIDTH_LIMITS[1])
    turn = (_differences(target.pose[:, 0], units.pose[:, 0]) / POSE_LIMITS[0]) ** 2
    turn += (_differences(target.pose[:, 1], units.pose[:, 1]) / POSE_LIMITS[1]) ** 2
    return fit & (turn <= 1)


def _differences(target: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(B, M) float32, in single precision to save memory."""
    return units.astype(np.float32) - target.astype(np.float32)[:, None]


def skin_gain(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(n, 3) float64: factor from the colour of the source's skin to the target's.

    target, source: (n, 3) code values.
    """
    return (target.astype(np.float64) / np.maximum(source, 1.0)).clip(1 / MOST_GAIN, MOST_GAIN)


def shown_shares(found: np.ndarray, seconds: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """(N,) float32 in [0, 1]: the share of the new mouth that is shown in each frame.

    found: (N,) bool, whether a unit fits. seconds: (N,) rising. begins: (N,) bool, True where a
    frame does not continue the one before: there a mouth begins and ends without a fade.
    """
    share = np.zeros(len(found), np.float32)
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else FADE
    border = begins | (np.diff(found, prepend=found[:1]) != 0)
    edges = np.unique(np.concatenate([[0], np.flatnonzero(border), [len(found)]]))
    for start, end in itertools.pairwise(edges):
        before = start > 0 and not begins[start]
        after = end < len(found) and not begins[end]
        times = seconds[start:end]
        short = times[-1] - times[0] + 1.5 * step < SHORTEST
        if not found[start] or (short and (before or after)):
            continue
        since = times - times[0] + step if before else np.inf
        until = times[-1] - times + step if after else np.inf
        rise = np.minimum(since, until) / (FADE + step)
        share[start:end] = np.clip(rise, 0, 1)
    return share


def spans(chosen: np.ndarray, seconds: np.ndarray) -> list[list[float]]:
    """[first, last] second of each run of True. chosen: (N,) bool, seconds: (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    pairs = zip(seconds[edges[::2]], seconds[edges[1::2] - 1], strict=True)
    return [[round(float(first), 3), round(float(last), 3)] for first, last in pairs]


def _left_cheek() -> np.ndarray:
    """(SIDE, SIDE) bool: around the left half of the region of a mouth; the right is its mirror."""
    columns, rows = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    grid = np.stack([columns * ALIGNED_WIDTH, rows * ALIGNED_HEIGHT], axis=-1) / SIDE - 0.5
    radius = region_radius(grid, (ALIGNED_WIDTH - 1) / 2, CHIN_ROW)
    around = (radius > _INNER) & (radius < _OUTER) & (columns < SIDE / 2)
    return around & (grid[..., 1] > _ROWS[0]) & (grid[..., 1] < _ROWS[1])


def _crossings(outline: np.ndarray, row: float) -> tuple[float, float]:
    """Leftmost and rightmost column in which a closed outline crosses a row; nan: it does not."""
    above, below = outline.astype(np.float64), np.roll(outline, -1, axis=0).astype(np.float64)
    cross = (above[:, 1] < row) != (below[:, 1] < row)
    if not cross.any():
        return np.nan, np.nan
    (x, y), (right, down) = above[cross].T, below[cross].T
    columns = x + (row - y) / (down - y) * (right - x)
    return float(columns.min()), float(columns.max())
