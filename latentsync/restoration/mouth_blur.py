"""How likely it is that a mouth was made blurry, and by how much, from the widths of its edges.

Without the person's own mouth a logistic regression on few figures decides; with it, the width of
the lips' edges against that mouth's. The coefficients of both are in mouth_blur.json, fitted by
``python -m benchmarks.mouth_blur_fit`` on videos of several people, as filmed and made blurry, at
several sizes and qualities of encoding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.geometry import frame_scale
from latentsync.restoration.edge_blur import FIGURES, measured_scale

COEFFICIENTS = Path(__file__).with_name("mouth_blur.json")

Columns = Mapping[str, np.ndarray]


def _sigma(variance: np.ndarray) -> np.ndarray:
    """Its square root; of what is below 0, that of its opposite, below 0."""
    return np.sign(variance) * np.sqrt(np.abs(variance))


def _by_size(sigma: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Lips are the softer by nature, in pixels, the larger the face; what a degradation takes is so
    many pixels on any face. Halfway between is where one border serves all sizes (measured)."""
    return sigma / np.sqrt(np.minimum(scale, 1))


FEATURES: dict[str, Callable[[Columns], np.ndarray]] = {
    "lost": lambda f: _sigma(f["lips"] - f["eyes"]),
    "lost by size": lambda f: _by_size(_sigma(f["lips"] - f["eyes"]), f["scale"]),
    "lips": lambda f: _sigma(f["lips"]),
    "scale": lambda f: np.log(np.minimum(f["scale"], 1)),
    "lost against own by size": lambda f: _by_size(_sigma(f["own_excess"]), f["scale"]),
}
"""By name, what a regression may use: columns -> the feature. lost: the blur, sigma, that would
make the lips' edges out of the eyes' [pixels]. Columns: FIGURES of edge_blur; scale, frame pixels
per pixel of the aligned crop; own_excess, see there [pixels squared]."""


@dataclass(frozen=True, slots=True)
class BlurModel:
    """Log odds that a mouth was made blurry: bias + the sum of features times their weights.

    weights: by name in FEATURES.
    """

    weights: Mapping[str, float]
    bias: float

    def probability(self, columns: Columns) -> np.ndarray:
        """(...) float64 in [0, 1]; nan where a column that it needs is. columns: (...) each."""
        odds = sum(
            (weight * FEATURES[name](columns) for name, weight in self.weights.items()),
            start=np.float64(self.bias),
        )
        return 1 / (1 + np.exp(-np.asarray(odds)))


@lru_cache(maxsize=1)
def models() -> dict[str, BlurModel]:
    """ "alone": without the person's own mouth; "own": against it."""
    content = _content()
    return {name: BlurModel(content[name]["weights"], content[name]["bias"]) for name in _MODELS}


_MODELS = ("alone", "own")


def natural_excess() -> float:
    """Variance by which the lips of an untouched face are blurrier than its eyes [pixels of the
    aligned crop, squared]: lips are soft by nature."""
    return float(_content()["natural_excess"])


@lru_cache(maxsize=1)
def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(COEFFICIENTS.read_text("utf-8"))
    return content


def blur_probability(figures: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """(...) float64 in [0, 1]: that the mouth was made blurry, judged by its face; nan: not known.

    figures: (..., len(FIGURES)), see edge_blur. matrices: (..., 2, 3), frame -> aligned crop.
    """
    return models()["alone"].probability(columns_of(figures, frame_scale(matrices)))


def own_probability(excess: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(...) float64 in [0, 1]: the same, judged by the person's own mouth.

    excess: (...), see own_excess, in measured pixels squared. scale: (...), frame pixels per pixel
    of the aligned crop.
    """
    return models()["own"].probability({"own_excess": excess, "scale": scale})


def columns_of(figures: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    """What features are made of. figures: (..., len(FIGURES)). scale: (...)."""
    columns = {name: figures[..., i].astype(np.float64) for i, name in enumerate(FIGURES)}
    return {**columns, "scale": np.asarray(scale, np.float64)}


@dataclass(frozen=True, slots=True)
class EdgeVariances:
    """Blur of the sharpest edges of lips and eyes, pixels of the aligned crop, squared, so that
    videos of different sizes compare."""

    lips: float
    eyes: float

    @property
    def known(self) -> bool:
        return not np.isnan([self.lips, self.eyes]).any()

    @classmethod
    def of(cls, figures: np.ndarray, matrices: np.ndarray) -> EdgeVariances:
        """Medians. figures: (F, len(FIGURES)), matrices: (F, 2, 3). nan: nothing was measured."""
        variances = aligned_variances(figures, matrices)
        known = variances[~np.isnan(variances).any(axis=-1)]
        lips, eyes = np.median(known, axis=0) if len(known) else (np.nan, np.nan)
        return cls(float(lips), float(eyes))


def aligned_variances(figures: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """(..., 2) float64: blur of the edges of [lips, eyes], pixels of the aligned crop, squared."""
    columns = [FIGURES.index(name) for name in ("lips", "eyes")]
    return figures[..., columns].astype(np.float64) / measured_area(matrices)[..., None]


def measured_area(matrices: np.ndarray) -> np.ndarray:
    """(...): measured pixels (see edge_blur) per pixel of the aligned crop, squared."""
    return (frame_scale(matrices) / measured_scale(matrices)) ** 2


def own_excess(lips: np.ndarray | float, eyes: float, own: EdgeVariances) -> np.ndarray:
    """(...): variance by which the lips' edges are blurrier than the person's own mouth would be in
    the same video. All in pixels of the aligned crop, squared.

    lips: (...), eyes: of the video to judge. own: of the video with the person's own mouth. If all
    of the face is softer than there, by size or encoding, the own mouth would be so as well.
    """
    return np.asarray(lips) - (own.lips + max(eyes - own.eyes, 0.0))


@dataclass(frozen=True, slots=True)
class TrackBlur:
    """The blur of a track's mouth: sigmas in frame pixels; nan where it was not measured.

    lips: of the edges of the lips. expected: what they would have. lost: what was put in between,
    sqrt(lips^2 - expected^2), 0 for lips that are as sharp. left: expected share of the mouth's
    fine energy that is left, in (0, 1]; 1 where the mouth is not known to be degraded. own: whether
    the person's own mouth says what is expected; else the eyes of the same face do.
    """

    lips: float
    expected: float
    lost: float
    left: float
    own: bool

    @classmethod
    def nothing(cls) -> TrackBlur:
        return cls(np.nan, np.nan, np.nan, np.nan, own=False)

    @classmethod
    def of(
        cls,
        seen: EdgeVariances,
        matrices: np.ndarray,
        own: EdgeVariances | None,
        *,
        doubt: tuple[float, float] = (0.3, 0.7),
    ) -> TrackBlur:
        """seen: of the mouths that are to be restored. matrices: (F, 2, 3), of their frames. own:
        the person's own mouth; where it is not known the face decides. doubt: see _certainty."""
        if not len(matrices) or not seen.known:
            return cls.nothing()
        own = own if own is not None and own.known else None
        scale = float(np.median(frame_scale(matrices)))
        area = float(np.median(measured_area(matrices)))
        if own is None:
            excess = seen.lips - seen.eyes - natural_excess()
            figures = np.array([seen.lips, seen.eyes]) * area
            probability = models()["alone"].probability(columns_of(figures, np.asarray(scale)))
        else:
            excess = float(own_excess(seen.lips, seen.eyes, own))
            probability = own_probability(np.asarray(excess * area), np.asarray(scale))
        variances = np.maximum([seen.lips, seen.lips - excess, excess], 0) * scale**2
        left = energy_left(variances[2], variances[1], own=own is not None)
        lips, expected, lost = np.sqrt(variances).tolist()
        return cls(
            lips, expected, lost, float(left ** _certainty(probability, doubt)), own=own is not None
        )


def energy_left(lost: np.ndarray, expected: np.ndarray, *, own: bool) -> np.ndarray:
    """(...) in (0, 1]: share of a degraded mouth's fine energy (finer than FINE) that is left.

    lost, expected: (...), variances of the blur and of what the lips' edges would have, frame
    pixels squared. own: whether the person's own mouth says what is expected; else faces differ so
    much that the figure is drawn towards what degraded mouths have left in the mean.
    """
    log_left = natural_log_left(lost, expected)
    if not own:
        weights = _content()["left"]
        log_left = weights["natural"] * log_left + weights["bias"]
    return np.exp(np.clip(log_left, _LEAST_LOG_LEFT, 0.0))


def natural_log_left(lost: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(...): log of the share of fine energy that a Gaussian of variance ``lost`` leaves of a mouth
    whose edges have the variance ``expected`` [pixels squared], by the spectrum of mouths."""

    def energy(variance: np.ndarray) -> np.ndarray:
        passed = np.exp(-4 * np.pi**2 * np.asarray(variance)[..., None] * _FREQUENCIES**2)
        return (_FINE_PASSED * passed * _FREQUENCIES**_POWER).sum(-1)

    expected = np.asarray(expected) + _PIXEL
    return np.log(energy(expected + lost) / energy(expected))


def softness(sigma: float, expected: float) -> float:
    """By how much wider, as a share, edges of that sigma are than those that are expected. Both in
    frame pixels, as edge_blur measures them."""
    widths = np.sqrt(np.square([sigma, expected]) + _PIXEL)
    return float(widths[0] / widths[1] - 1)


def _certainty(probability: np.ndarray, doubt: tuple[float, float]) -> np.ndarray:
    """In [0, 1]: 0 for what may well be as filmed, 1 for what is degraded; smooth in between.

    doubt: the gate's two thresholds. Just above the lower one a mouth is more likely as filmed, and
    just above the upper one it may be: both limits lie higher by _MARGIN.
    """
    low, high = (limit + _MARGIN for limit in doubt)
    share = np.clip((probability - low) / max(high - low, 1e-6), 0, 1)
    return share**2 * (3 - 2 * share)


FINE = 2.0
"""Pixels, sigma: what a Gaussian of it takes away is fine detail."""
_FREQUENCIES = np.linspace(0.005, 0.5, 200)  # cycles per pixel
_FINE_PASSED = (1 - np.exp(-2 * (np.pi * FINE * _FREQUENCIES) ** 2)) ** 2
_POWER = -1.5  # of the energy in a ring of the spectrum of a mouth, by frequency
_PIXEL = 0.6  # variance that edges have beyond what is measured of them [pixels squared]
_LEAST_LOG_LEFT = np.log(0.1)
_MARGIN = 0.1  # of probability
