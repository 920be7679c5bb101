"""Links shots of the same identity, so that a face never gets another person's mouth."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from latentsync.generate.base import Footage

FRAMES_COMPARED = 5  # frames of a shot that are compared with those of another
SQUARE = 256  # side of the crops that are downscaled
SIDE = 32
UPPER_FACE = slice(4, 17), slice(6, 26)
"""Rows and columns of the thumbnail: brows, eyes and nose, neither mouth nor background."""
MIN_CORRELATION = 0.7
"""Correlation of two grey thumbnails. One identity over turns and nods: 0.5 to 1, medians 0.81 and
more; two identities: 0 to 0.7, medians 0.52 and less (four people)."""
MAX_DIFFERENCE = 20 / 127.5
"""Mean colour difference of two thumbnails; medians: below 12 code values, and above 40."""


def link_identities(footage: Footage, frames: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """(K,) int: one identity for shots that look like one person in one light.

    frames: (K,) int, rising, of the footage, with a face. shots: (K,) int, the track of each. In
    doubt one person gets two identities: fewer mouths, but never a wrong one.
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
