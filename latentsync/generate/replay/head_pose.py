"""The position of the mouth in the aligned crop as a function of head pose.

The crop is aligned by brows and nose. Where the head turns or nods, the mouth moves inside it; a
linear model of that is fitted to a whole video, in which the motion of speech averages out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from latentsync.generate.replay.lips import (
    CHIN,
    LIP_LOWER,
    LIP_UPPER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
)

MOUTH = (MOUTH_LEFT, MOUTH_RIGHT, LIP_UPPER, LIP_LOWER, CHIN)
"""The points that speech moves, in the order of all mouth points here and in transplant."""
RESTING = (*MOUTH, NOSE_TIP)
"""The points that a placement is fitted to."""
_POSE_NOISE = 0.03
"""Sigma of the noise of a pose, in distances between the eyes."""
_REACH = 3  # sigmas


@dataclass(frozen=True, slots=True, eq=False)
class HeadPoseModel:
    """Positions of the RESTING points of one identity by pose. low, high: (P,), range of the poses.

    slope: (P, 12), offset: (12,): aligned pixels, x and y of one point after the other.
    """

    mean: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __call__(self, pose: np.ndarray) -> np.ndarray:
        """pose: (F, P) -> (F, 6, 2) float64 aligned pixels; poses are clipped to the range."""
        known = pose.clip(self.low, self.high)
        return ((known - self.mean) @ self.slope + self.offset).reshape(len(pose), len(RESTING), 2)


def fit_head_pose(points: np.ndarray, pose: np.ndarray) -> HeadPoseModel:
    """points: (F, 11, 2) aligned pixels, pose: (F, P), see lips.head_pose; one identity, F > 0."""
    flat = points[:, list(RESTING)].reshape(len(points), -1).astype(np.float64)
    mean, offset = pose.mean(axis=0), flat.mean(axis=0)
    centred = pose - mean
    spread = centred.T @ centred / len(pose) + _POSE_NOISE**2 * np.eye(pose.shape[1])
    slope = np.linalg.solve(spread, centred.T @ (flat - offset) / len(pose))
    return HeadPoseModel(mean, slope, offset, pose.min(axis=0), pose.max(axis=0))


def placement(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(2, 3) float64: aligned pixels of the target -> of the source; least squares.

    target, source: (6, 2), the RESTING points of two poses.
    """
    design = np.concatenate([target, np.ones((len(target), 1))], axis=1)
    return np.linalg.lstsq(design, source, rcond=None)[0].T


def steadied(values: np.ndarray, runs: np.ndarray, sigma: float) -> np.ndarray:
    """values: (F, K) -> the same, Gaussian-smoothed within each run; sigma in frames.

    runs: (F,) int.
    """
    out = values.astype(np.float64)
    reach = math.ceil(_REACH * sigma)
    if reach < 1:
        return out
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for run in np.unique(runs):
        mine = np.flatnonzero(runs == run)
        padded = np.pad(out[mine], ((reach, reach), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=0)
        out[mine] = windows @ weights
    return out
