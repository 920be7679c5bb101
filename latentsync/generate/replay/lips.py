"""Lip shape and head pose from landmarks, and the regression of lip shape from audio.

A ridge regression from the audio around each frame to its lip shape is fitted to the video. It then
predicts the lip shape for the new speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BROW_LEFT, BROW_RIGHT, NOSE, EYE_LEFT, EYE_RIGHT, NOSE_TIP = range(6)
MOUTH_LEFT, MOUTH_RIGHT, LIP_UPPER, LIP_LOWER, CHIN = range(6, 11)
"""Places in Alignment.landmarks."""

PENALTY = 300.0
"""Ridge penalty, for features of variance 1. 100 to 1000 predict a real video about as well."""
FOLDS = 10
MARGIN = 0.5
"""Seconds around a frame that are left out of its out-of-fold fit: features of a frame reach 0.2 s,
and lip shapes are correlated over time."""
LOW_CONFIDENCE = 0.3
"""Out-of-fold r below which the lips of a video hardly follow its audio."""
_FEWEST = 25  # frames to fit to
_MAX_GAIN = 2.0


def lip_shape(points: np.ndarray) -> np.ndarray:
    """points: (F, 11, 2) pixels, Alignment.landmarks -> (F, 2) float64: aperture and width.

    Both in distances between the brows, independent of zoom and roll.
    """
    unit = _distance(points, BROW_LEFT, BROW_RIGHT)
    aperture = _distance(points, LIP_UPPER, LIP_LOWER)
    width = _distance(points, MOUTH_LEFT, MOUTH_RIGHT)
    return np.stack([aperture, width], axis=1) / unit[:, None]


def head_pose(points: np.ndarray) -> np.ndarray:
    """points: (F, 11, 2) pixels -> (F, 2) float64: tip of the nose relative to the eyes.

    To the right and down the face, in distances between the eyes: yaw and pitch. Lips, chin and
    brows are not used, as speech moves them.
    """
    exact = points.astype(np.float64)
    across = exact[:, EYE_RIGHT] - exact[:, EYE_LEFT]
    nose = exact[:, NOSE_TIP] - (exact[:, EYE_RIGHT] + exact[:, EYE_LEFT]) / 2
    turn = (nose * across).sum(axis=1)
    nod = across[:, 0] * nose[:, 1] - across[:, 1] * nose[:, 0]
    return np.stack([turn, nod], axis=1) / np.maximum((across**2).sum(axis=1), 1e-9)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """A linear map. mean: (D,). slope: (D, K). offset: (K,)."""

    mean: np.ndarray
    slope: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray, gain: np.ndarray | float = 1.0) -> np.ndarray:
        """features: (N, D) -> (N, K) float64. gain: factor of the distance to the offset."""
        return (features - self.mean) @ self.slope * gain + self.offset


@dataclass(frozen=True, slots=True, eq=False)
class LipRegression:
    """Predicts the lip shape of a video from audio features.

    reliability: (2,) 0 to 1, out-of-fold r of aperture and width. gain: (2,), makes the variance of
    predictions that of the lips, as a ridge underestimates it. folds: each is fitted without its
    part of the video and a margin. borders: seconds between their parts. No folds: too short a
    video, reliability 0.
    """

    whole: Ridge
    folds: tuple[Ridge, ...]
    borders: np.ndarray
    reliability: np.ndarray
    gain: np.ndarray

    @property
    def low_confidence(self) -> bool:
        return bool(self.reliability[0] < LOW_CONFIDENCE)

    def expected(self, features: np.ndarray, shown: np.ndarray | None = None) -> np.ndarray:
        """features: (N, D) -> (N, 2) float64, predicted aperture and width.

        shown: (N,) seconds of the video; if given, each is predicted by a fold without it.
        """
        if shown is None or not self.folds:
            return self.whole(features, self.gain)
        part = np.searchsorted(self.borders, shown)
        expected = np.empty((len(features), len(self.gain)))
        for number, ridge in enumerate(self.folds):
            expected[part == number] = ridge(features[part == number], self.gain)
        return expected


def fit_lips(
    features: np.ndarray, lips: np.ndarray, seconds: np.ndarray, *, margin: float = MARGIN
) -> LipRegression:
    """features: (M, D), lips: (M, 2), seconds: (M,) rising, of one video, M > 0.

    margin: seconds on both sides of a fold's part that are left out with it.
    """
    whole, columns = fit_ridge(features, lips), lips.shape[1]
    parts = [part for part in np.array_split(np.arange(len(seconds)), FOLDS) if len(part)]
    edges = [part[0] for part in parts[1:]]
    borders = (seconds[edges] + seconds[np.array(edges) - 1]) / 2 if edges else np.empty(0)
    limits = np.concatenate([[-np.inf], borders, [np.inf]])
    folds, held_out = [], np.zeros(lips.shape)
    for part, low, high in zip(parts, limits[:-1], limits[1:], strict=True):
        others = (seconds < low - margin) | (seconds > high + margin)
        if others.sum() < _FEWEST:
            return LipRegression(whole, (), np.empty(0), np.zeros(columns), np.ones(columns))
        folds.append(fit_ridge(features[others], lips[others]))
        held_out[part] = folds[-1](features[part])
    gain = lips.std(axis=0) / np.maximum(held_out.std(axis=0), 1e-9)
    reliability = _correlation(held_out, lips).clip(0)
    return LipRegression(whole, tuple(folds), borders, reliability, gain.clip(1, _MAX_GAIN))


def fit_ridge(features: np.ndarray, wanted: np.ndarray, *, penalty: float = PENALTY) -> Ridge:
    """features: (M, D), wanted: (M, K). One penalty for all features, which are not normalised."""
    mean, offset = features.mean(axis=0, dtype=np.float64), wanted.mean(axis=0)
    centred = features - mean
    variance = float((centred**2).mean()) or 1.0
    gram = centred.T @ centred + penalty * variance * np.eye(features.shape[1])
    return Ridge(mean, np.linalg.solve(gram, centred.T @ (wanted - offset)), offset)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(M, K) twice -> (K,): Pearson's r, 0 without variance."""
    a, b = one - one.mean(axis=0), other - other.mean(axis=0)
    spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return (a * b).sum(axis=0) / np.maximum(spread, 1e-12)


def _distance(points: np.ndarray, one: int, other: int) -> np.ndarray:
    return np.linalg.norm(points[:, one].astype(np.float64) - points[:, other], axis=1)
