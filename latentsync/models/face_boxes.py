"""From the maps of a detector to boxes: priors, decoding, suppression of overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STEPS = (4, 8, 16, 32, 64, 128)
"""Pixels between two places of each map."""
SIZES = (16, 32, 64, 128, 256, 512)
"""Side of the prior box at each place [pixels]."""
MIN_SCORE = 0.05
_CENTRE_SCALE, _SIZE_SCALE = 0.1, 0.2  # of the offsets, as the network was trained
_OVERLAP = 0.3
_CONSIDERED, _KEPT = 5000, 750


def priors(grids: Sequence[tuple[int, int]], height: int, width: int) -> np.ndarray:
    """grids: rows and columns of each map -> (P, 4) float32: centre x, y, width, height.

    In shares of the image's width and height; row by row, map after map.
    """
    boxes = []
    for (rows, columns), step, size in zip(grids, STEPS, SIZES, strict=True):
        y, x = np.mgrid[:rows, :columns] + 0.5
        places = np.column_stack([x.ravel() * step / width, y.ravel() * step / height])
        sides = np.broadcast_to([size / width, size / height], places.shape)
        boxes.append(np.hstack([places, sides]))
    return np.concatenate(boxes).astype(np.float32)


def decoded_boxes(
    offsets: np.ndarray, grids: Sequence[tuple[int, int]], height: int, width: int
) -> np.ndarray:
    """(P, 4) float32 offsets from the priors -> (P, 4): left, top, right, bottom, in shares."""
    prior = priors(grids, height, width)
    centres = prior[:, :2] + np.float32(_CENTRE_SCALE) * offsets[:, :2] * prior[:, 2:]
    sides = prior[:, 2:] * np.exp(np.float32(_SIZE_SCALE) * offsets[:, 2:])
    corner = centres - sides / 2
    return np.hstack([corner, corner + sides])


def best_boxes(scores: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(P,), (P, 4) -> (N, 5): score and box of those that overlap no better one, best first."""
    likely = np.flatnonzero(scores > MIN_SCORE)
    order = likely[np.argsort(-scores[likely], kind="stable")][:_CONSIDERED]
    kept = order[overlaps_removed(boxes[order], _OVERLAP)[:_KEPT]]
    return np.column_stack([scores[kept], boxes[kept]])


def overlaps_removed(boxes: np.ndarray, allowed: float) -> np.ndarray:
    """boxes: (N, 4) left, top, right, bottom, best first -> indices of those that stay, (K,) int.

    A box goes where its intersection over union with a better one that stays is above `allowed`.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.arange(len(boxes))
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[left, :2])
        sides = (np.minimum(boxes[best, 2:], boxes[left, 2:]) - corner).clip(min=0)
        common = sides[:, 0] * sides[:, 1]
        left = left[common / (areas[best] + areas[left] - common) <= allowed]
    return np.array(kept, dtype=np.intp)
