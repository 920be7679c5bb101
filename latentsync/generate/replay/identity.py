"""Which shots show the same person, so that no mouth is given to another."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from latentsync.generate.base import Footage

FRAMES_COMPARED = 5  # frames of a shot that are compared with those of another
SQUARE = 256  # side of the crops they are averaged down from
SIDE = 32
UPPER_FACE = slice(4, 17), slice(6, 26)
"""Rows and columns of the small image: brows, eyes and nose, neither mouth nor background."""
MIN_CORRELATION = 0.7
"""Correlation of two small images in grey. Of one identity over turns and nods 0.5 to 1, in the
median 0.81 and more; of two persons 0 to 0.7, in the median 0.52 and less (four people)."""
MAX_DIFFERENCE = 20 / 127.5
"""Mean colour difference of two thumbnails; medians: below 12 code values, and above 40."""


def link_identities(footage: Footage, frames: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """(K,) int, the same for shots that look like one person in one light; else of its own.

    frames: (K,) int, rising, of the footage, with a face. shots: (K,) int, the track of each. In
    doubt two persons are made of one: a mouth is missed then, but no wrong one shown.
    """
    numbers, first = np.unique(shots, return_index=True)
    if len(numbers) == 1:
        return np.zeros(len(shots), np.int64)
    known: list[np.ndarray] = []
    identity = np.empty(len(shots), np.int64)
    for shot in numbers[np.argsort(first)]:
        thumbnails = _thumbnails(footage, frames[shots == shot])
        alike = next((i for i, other in enumerate(known) if _same(thumbnails, other)), len(known))
        if alike == len(known):
            known.append(thumbnails)
        identity[shots == shot] = alike
    return identity


def _thumbnails(footage: Footage, frames: np.ndarray) -> np.ndarray:
    """(n, 3, h, w) float32 [-1, 1]: brows, eyes and nose, downscaled; n at most FRAMES_COMPARED."""
    chosen = np.unique(frames[np.linspace(0, len(frames) - 1, FRAMES_COMPARED).round().astype(int)])
    crops = torch.stack(list(footage.crops(chosen, SQUARE)))
    small = F.interpolate(crops, (SIDE, SIDE), mode="area")
    return small[:, :, UPPER_FACE[0], UPPER_FACE[1]].numpy()


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = [(a, b) for a in one for b in other]
    alike = np.median([np.corrcoef(a.mean(0).ravel(), b.mean(0).ravel())[0, 1] for a, b in pairs])
    apart = np.median([np.abs(a - b).mean() for a, b in pairs])
    return bool(alike > MIN_CORRELATION and apart < MAX_DIFFERENCE)
