"""Estimates which degradations explain the generated mouths.

How a lip-synced mouth lost its detail is unknown. But the video shows original mouths of the same
speaker: a degradation that gives these the band energies of the generated ones is likely. All
functions are deterministic for a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.restoration.personal.degradation import (
    Degradation,
    candidate_degradations,
    neighbours,
)

_SIGMAS = (0.0, 0.5, 0.75, 1.1, 1.6, 2.4, 3.6)  # pixels; a band lies between two neighbours
_SHARES = (0.5, 0.8, 0.97)  # of a band's pixels: noise shows in the flat ones, edges in the others
_SHARED_BANDS = 3
_LEAST = 0.1  # code values squared: energy below it is rounding
_COARSE = 4  # sigma, pixels: frequencies that hardly any degradation changes
# Sigma of a feature between mouths of one degradation: by itself, and common to all features.
_SINGLE_SPREAD, _COMMON_SPREAD = 0.06, 0.15
_PER_PART = 0.03  # penalty on the error for each component of a degradation
_ROUGH_FRAMES = 4


@dataclass(frozen=True, slots=True, eq=False)
class LikelyDegradations:
    """The degradations that explain the generated mouths, likeliest first, with their weights.

    error: of the likeliest, mean squared error of the features in units of their variance; up to
    1: explained.
    """

    degradations: list[Degradation]
    weights: np.ndarray
    error: float


def likely_degradations(
    originals: np.ndarray, generated: np.ndarray, mask: np.ndarray, *, most: int, seed: int = 0
) -> LikelyDegradations:
    """At most ``most`` degradations that make the original mouths look like the generated ones.

    originals, generated: (F, h, w) float32 code values, in pairs of similar content (see
    counterparts). mask: (h, w) in [0, 1], the region that counts.
    """
    goal = np.mean([signature(luma, mask) for luma in generated], axis=0)
    few = originals[:: max(1, len(originals) // _ROUGH_FRAMES)]
    rough = candidate_degradations(seed=seed)
    best = np.argsort(_errors(rough, few, goal, mask))[:8]
    fine = neighbours([rough[i] for i in best], 6, seed=seed)
    errors = _errors(fine, originals, goal, mask)
    order = np.argsort(errors)[:most]
    # Where none explains the generated mouths, their weights are about equal.
    least = errors[order[0]]
    weights = np.exp(-0.5 * len(goal) * (errors[order] - least) / max(least, 1.0))
    kept = weights > 0.1
    shares = weights[kept] / weights[kept].sum()
    return LikelyDegradations([fine[i] for i in order[kept]], shares, float(least))


def counterparts(originals: np.ndarray, generated: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(G,) int: for each generated mouth the most similar original one, without fine detail.

    originals: (F, h, w), generated: (G, h, w) float32 code values. mask: (h, w) in [0, 1].
    """
    a, b = (np.stack([_coarse(luma, mask) for luma in lumas]) for lumas in (originals, generated))
    return np.array([((one - a) ** 2).sum(-1).argmin() for one in b])


def signature(luma: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(S,) float: log energies of the fine bands, whole and at quantiles of their pixels.

    luma: (h, w) float32 code values. mask: (h, w) in [0, 1].
    """
    inside = mask > 0.5
    levels = [luma, *(cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in _SIGMAS[1:])]
    figures: list[float] = []
    for band in range(len(levels) - 1):
        squares = (levels[band] - levels[band + 1])[inside] ** 2
        figures.append(float(squares.mean()))
        if band < _SHARED_BANDS:
            ordered = np.sort(squares[::3])
            figures += [float(ordered[int(share * len(ordered))]) for share in _SHARES]
    return np.log(np.array(figures) + _LEAST)


def _errors(
    degradations: Sequence[Degradation], originals: np.ndarray, goal: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """(len(degradations),): error of the degraded originals to the goal; 1: as expected.

    A difference common to all bands has a low weight: it is contrast, which varies with content.
    """
    found = np.array(
        [
            np.mean([signature(degrade(o), mask) for o in originals], axis=0)
            for degrade in degradations
        ]
    )
    gap = found - goal
    count = len(goal)
    spread = _SINGLE_SPREAD**2 * np.eye(count) + _COMMON_SPREAD**2 * np.ones((count, count))
    made_of = _PER_PART * np.array([one.parts for one in degradations])
    return np.einsum("ki,ij,kj->k", gap, np.linalg.inv(spread), gap) / count + made_of


def _coarse(luma: np.ndarray, mask: np.ndarray) -> np.ndarray:
    low = cv2.GaussianBlur(luma, (0, 0), _COARSE)
    low = (low - np.average(low, weights=mask)) * mask
    return low[::_COARSE, ::_COARSE].ravel()
