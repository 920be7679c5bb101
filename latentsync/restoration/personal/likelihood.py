"""Estimates which degradations explain the generated mouths.

How a lip-synced mouth lost its detail is unknown. But the video shows original mouths of the same
speaker: a degradation that makes these as blurry as the generated ones, with their band energies,
is likely. The blur is that of the edges, which the video's encoder hardly changes; the energies of
the fine bands are the encoder's as much as the degradation's. All functions are deterministic for
a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.restoration.edge_blur import edge_variance
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
# Spread of the lost blur between mouths of one degradation: of its variance, pixels squared, which
# varies with what the mouths show, and of its sigma, pixels.
_EXCESS_SPREAD, _LOST_SPREAD = 0.2, 0.12
_PER_PART = 0.03  # penalty on the error for each component of a degradation
_ROUGH_FRAMES = 4
_BEST, _NEIGHBOURS = 6, 5  # degradations that are varied, and variations of each


@dataclass(frozen=True, slots=True, eq=False)
class LikelyDegradations:
    """The degradations that explain the generated mouths, likeliest first, with their weights.

    error: of the likeliest, mean squared error of the features in units of their variance, plus
    that of the lost blur; up to 1: explained. lost: sigma, pixels, of the blur that the generated
    mouths have and the original ones do not; nan: not measured.
    """

    degradations: list[Degradation]
    weights: np.ndarray
    error: float
    lost: float


def likely_degradations(
    originals: np.ndarray, generated: np.ndarray, mask: np.ndarray, *, most: int, seed: int = 0
) -> LikelyDegradations:
    """At most ``most`` degradations that make the original mouths look like the generated ones.

    originals, generated: (F, h, w) float32 code values, in pairs of similar content (see
    counterparts). mask: (h, w) in [0, 1], the region that counts.
    """
    every = _Originals.of(originals, mask)
    goal = every.features(generated)
    few = every.some(_ROUGH_FRAMES)
    rough = candidate_degradations(seed=seed)
    best = np.argsort(_errors(rough, few, goal))[:_BEST]
    fine = neighbours([rough[i] for i in best], _NEIGHBOURS, seed=seed)
    errors = _errors(fine, every, goal)
    order = np.argsort(errors)[:most]
    # Where none explains the generated mouths, their weights are about equal.
    least = errors[order[0]]
    weights = np.exp(-0.5 * len(goal.energies) * (errors[order] - least) / max(least, 1.0))
    kept = weights > 0.1
    shares = weights[kept] / weights[kept].sum()
    return LikelyDegradations([fine[i] for i in order[kept]], shares, float(least), goal.lost)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Features:
    """energies: (S,), the mean signature of degraded mouths. excess: variance by which their edges
    are blurrier than the original ones, pixels squared; below 0: sharper; nan: not measured."""

    energies: np.ndarray
    excess: float

    @property
    def lost(self) -> float:
        """Sigma of the blur in between, pixels; 0: none; nan: not measured."""
        return float(np.sqrt(np.maximum(self.excess, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class _Originals:
    """lumas: (F, h, w) code values. edges: (F,), variance of the sharpest ones; nan: none."""

    lumas: np.ndarray
    edges: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, lumas: np.ndarray, mask: np.ndarray) -> _Originals:
        return cls(lumas, _edges(lumas, mask), mask)

    def some(self, count: int) -> _Originals:
        """About that many of them, evenly spread."""
        step = max(1, len(self.lumas) // count)
        return _Originals(self.lumas[::step], self.edges[::step], self.mask)

    def features(self, degraded: Sequence[np.ndarray] | np.ndarray) -> _Features:
        """degraded: F x (h, w), one for each."""
        energies = np.mean([signature(luma, self.mask) for luma in degraded], axis=0)
        excess = _edges(degraded, self.mask) - self.edges
        known = excess[~np.isnan(excess)]
        return _Features(energies, float(np.median(known)) if len(known) else np.nan)


def _edges(lumas: Sequence[np.ndarray] | np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(F,): variance of the sharpest edges of each of F x (h, w); nan: there are none."""
    return np.array([edge_variance(luma, mask > 0.5) for luma in lumas])


def _errors(
    degradations: Sequence[Degradation], originals: _Originals, goal: _Features
) -> np.ndarray:
    """(len(degradations),): error of the degraded originals to the goal; 1: as expected.

    A difference common to all bands has a low weight: it is contrast, which varies with content.
    """
    found = [originals.features([one(luma) for luma in originals.lumas]) for one in degradations]
    gap = np.stack([features.energies for features in found]) - goal.energies
    excess = np.array([features.excess for features in found]) - goal.excess
    if np.isnan(excess).all():  # the energies decide alone
        excess = np.zeros(len(found))
    # A degradation that leaves no edges to measure is as far off as the farthest.
    excess = np.where(np.isnan(excess), np.nanmax(np.abs(excess)), excess)
    by_blur = (excess / np.hypot(_EXCESS_SPREAD, 2 * np.nan_to_num(goal.lost) * _LOST_SPREAD)) ** 2
    count = len(goal.energies)
    spread = _SINGLE_SPREAD**2 * np.eye(count) + _COMMON_SPREAD**2 * np.ones((count, count))
    made_of = _PER_PART * np.array([one.parts for one in degradations])
    by_energy = np.einsum("ki,ij,kj->k", gap, np.linalg.inv(spread), gap) / count
    return by_energy + by_blur + made_of


def _coarse(luma: np.ndarray, mask: np.ndarray) -> np.ndarray:
    low = cv2.GaussianBlur(luma, (0, 0), _COARSE)
    low = (low - np.average(low, weights=mask)) * mask
    return low[::_COARSE, ::_COARSE].ravel()
