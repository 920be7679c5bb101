"""Simulates degradations of mouths, and estimates which ones explain the generated mouths.

How a lip-synced mouth lost its detail is unknown. But the video shows original mouths of the same
speaker: a degradation that gives these the band energies of the generated ones is likely. All
functions are deterministic for a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

SHRINK = (1.5, 4.0)
BLUR = (0.6, 3.0)  # sigma, pixels
POLISH = (6.0, 40.0)  # code values
REACH = (1.5, 3.0)  # sigma, pixels
NOISE = (0.5, 4.0)  # sigma, code values
QUALITY = (50, 95)  # JPEG

_SIGMAS = (0.0, 0.5, 0.75, 1.1, 1.6, 2.4, 3.6)  # pixels; a band lies between two neighbours
_SHARES = (0.5, 0.8, 0.97)  # of a band's pixels: noise shows in the flat ones, edges in the others
_SHARED_BANDS = 3
_LEAST = 0.1  # code values squared: energy below it is rounding
# Rounding step of the luma in code values: RGB is rounded, then resampled.
_STEP = np.float32(0.5)
_COARSE = 4  # sigma, pixels: frequencies that hardly any degradation changes
# Sigma of a feature between mouths of one degradation: by itself, and common to all features.
_SINGLE_SPREAD, _COMMON_SPREAD = 0.06, 0.15
_PER_PART = 0.03  # penalty on the error for each component of a degradation
_ROUGH_FRAMES = 4


@dataclass(frozen=True, slots=True)
class Degradation:
    """One way to lose detail; applied in the order of its fields.

    polish: code values; differences below it are smoothed, edges stay. blur: sigma of a Gaussian,
    pixels. shrink: factor of the downscaling, followed by cubic (linear: linear) interpolation.
    noise: sigma, code values, and quality: of JPEG, 0: none; both at the smaller size. seed: of the
    noise and of the position of the smaller image's grid.
    """

    polish: float = 0.0
    reach: float = 1.5
    blur: float = 0.0
    shrink: float = 1.0
    linear: bool = False
    noise: float = 0.0
    quality: int = 0
    seed: int = 0

    def __call__(self, luma: np.ndarray) -> np.ndarray:
        """luma: (h, w) float32 code values 0..255 -> the same, rounded to _STEP."""
        random = np.random.default_rng(self.seed)
        if self.polish > 0:
            luma = cv2.bilateralFilter(
                luma, 2 * round(1.5 * self.reach) + 1, self.polish, self.reach
            )
        if self.blur > 0:
            luma = cv2.GaussianBlur(luma, (0, 0), self.blur)
        if self.shrink > 1:
            luma = self._downscaled(luma, random)
        else:
            luma = self._with_noise_and_jpeg(luma, random)
        return (np.rint(luma / _STEP) * _STEP).clip(0, 255)

    @property
    def parts(self) -> int:
        """Number of its components; 0: no degradation."""
        return sum(
            x > 0 for x in (self.polish, self.blur, self.shrink - 1, self.noise, self.quality)
        )

    def _downscaled(self, luma: np.ndarray, random: np.random.Generator) -> np.ndarray:
        height, width = luma.shape
        top, left = (int(n) for n in random.integers(0, int(np.ceil(self.shrink)), 2))
        size = [int(np.ceil((n + 8) / self.shrink)) for n in (width, height)]
        full = [round(n * self.shrink) for n in size]
        pads = (top, full[1] - height - top, left, full[0] - width - left)
        padded = cv2.copyMakeBorder(luma, *pads, cv2.BORDER_REFLECT_101)
        small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
        how = cv2.INTER_LINEAR if self.linear else cv2.INTER_CUBIC
        back = cv2.resize(self._with_noise_and_jpeg(small, random), full, interpolation=how)
        return back[top : top + height, left : left + width]

    def _with_noise_and_jpeg(self, luma: np.ndarray, random: np.random.Generator) -> np.ndarray:
        if self.noise > 0:
            luma = luma + self.noise * random.standard_normal(luma.shape, np.float32)
        if not self.quality:
            return luma
        levels = np.rint(luma).clip(0, 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        return decoded.astype(np.float32)


def candidate_degradations(*, seed: int = 0) -> list[Degradation]:
    """Typical degradations of generators and resampling: first none, then single ones, mixtures."""
    random = np.random.default_rng(seed)
    pure = [Degradation(blur=float(b)) for b in np.geomspace(*BLUR, 16)]
    pure += [Degradation(shrink=float(s)) for s in np.geomspace(*SHRINK, 16)]
    pure += [Degradation(shrink=float(s), linear=True) for s in np.geomspace(*SHRINK, 6)]
    pure += [
        Degradation(polish=float(p), reach=reach)
        for p in np.geomspace(*POLISH, 6)
        for reach in REACH
    ]
    return [Degradation(), *pure, *(_mixture(i, random) for i in range(96))]


def _mixture(index: int, random: np.random.Generator) -> Degradation:
    def between(bounds: tuple[float, float]) -> float:
        return float(np.exp(random.uniform(*np.log(bounds))))

    blurred, shrunk = ((1, 0), (0, 1), (1, 1), (0, 1))[index % 4]
    noisy, coded, polished = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0))[index // 4 % 4]
    return Degradation(
        polish=between(POLISH) * polished,
        reach=float(random.choice(REACH)),
        blur=between(BLUR) * blurred * (0.6 if shrunk else 1),
        shrink=between(SHRINK) if shrunk else 1.0,
        linear=bool(random.random() < 0.25),
        noise=between(NOISE) * noisy,
        quality=int(random.integers(*QUALITY)) * coded,
        seed=int(random.integers(2**31)),
    )


def neighbours(degradations: Sequence[Degradation], each: int, *, seed: int) -> list[Degradation]:
    """The degradations, and ``each`` variations of every one, by a tenth to a fifth."""
    random = np.random.default_rng(seed)
    moved = [_moved(one, random) for one in degradations if one.parts for _ in range(each)]
    return [*degradations, *moved]


def _moved(one: Degradation, random: np.random.Generator) -> Degradation:
    by = np.exp(np.array([0.2, 0.2, 0.1, 0.15, 0.15]) * random.standard_normal(5))
    quality = one.quality and int(np.clip(one.quality + random.normal(0, 6), *QUALITY))
    return replace(
        one,
        polish=one.polish * float(by[0]),
        reach=float(np.clip(one.reach * by[1], 1.0, 5.0)),
        blur=one.blur * float(by[2]),
        shrink=1 + (one.shrink - 1) * float(by[3]),
        noise=one.noise * float(by[4]),
        quality=quality,
        seed=int(random.integers(2**31)),
    )


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
