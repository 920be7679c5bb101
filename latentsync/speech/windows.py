"""Selects the ten features of a video frame: a tenth of a second either side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

FEATURES_PER_SECOND = 50
BEFORE, AFTER = 4, 6  # features before the frame's own, and from it on; audio2feature.py:27-52
WINDOW = BEFORE + AFTER
_ROUNDING = 1e-4  # features: 0.58 s times 50 is 28.999... in floating point


def frame_count(num_features: int, fps: float | Fraction) -> int:
    """Frames that upstream makes of L features: floor(L / 2) + 2 at 25 frames per second.

    The last ones get only the end of the audio. audio2feature.py:88-103.
    """
    count = int(num_features * fps / FEATURES_PER_SECOND)
    while _centre(count, fps) <= num_features:
        count += 1
    return count + 1


def window_indices(
    num_features: int, fps: float | Fraction, *, start: int = 0, stop: int | None = None
) -> np.ndarray:
    """(N, 10) int64, in [0, num_features): the features of frames start to stop (excluded).

    stop: None: frame_count; frames beyond it get the end of the audio. Beyond both ends the
    outermost feature is repeated. Raises ValueError: no features, a rate that is not positive.
    """
    if num_features < 1 or fps <= 0:
        raise ValueError(f"no windows on {num_features} features at {fps} frames per second")
    stop = frame_count(num_features, fps) if stop is None else stop
    centres = np.array([_centre(frame, fps) for frame in range(start, stop)], np.int64)
    return (centres[:, None] + np.arange(-BEFORE, AFTER)).clip(0, num_features - 1)


def indices_at(seconds: np.ndarray, num_features: int) -> np.ndarray:
    """(N, 10) int64, in [0, num_features): the features of a frame at each instant.

    seconds: (N,) float, rising. At a steady rate the same as window_indices.
    """
    return _around(seconds).clip(0, num_features - 1)


def beyond(seconds: np.ndarray, num_features: int) -> np.ndarray:
    """(N, 10) bool: which features of the frame at each instant lie outside the audio."""
    places = _around(seconds)
    return (places < 0) | (places >= num_features)


def _around(seconds: np.ndarray) -> np.ndarray:
    """(N, 10) int64, places of features; below 0 before the audio."""
    centres = np.floor(seconds * FEATURES_PER_SECOND + _ROUNDING).astype(np.int64)
    return centres[:, None] + np.arange(-BEFORE, AFTER)


def windows(features: Tensor, indices: np.ndarray) -> Tensor:
    """features (L, S, C), indices (N, 10) -> (N, 10 * S, C): time outside, hidden states inside."""
    return rearrange(features[torch.from_numpy(indices)], "n t s c -> n (t s) c")


def stream_windows(
    segments: Iterable[Tensor], indices: np.ndarray, *, first: int = 0
) -> Iterator[Tensor]:
    """Yields (10 * S, C) for each frame, with at most two segments in memory.

    segments: consecutive features (l, S, C). indices: (N, 10), rows in rising order.
    first: index of the segments' first feature. Raises ValueError: the segments end too early.
    """
    arriving = iter(segments)
    held = _next(arriving)
    for row in indices:
        while row[-1] >= first + len(held):
            passed = min(int(row[0]) - first, len(held))
            held = torch.cat([held[passed:], _next(arriving)])
            first += passed
        yield windows(held, row[None] - first)[0]


def _next(arriving: Iterator[Tensor]) -> Tensor:
    for segment in arriving:
        return segment
    raise ValueError("the audio ends before the frames that need it")


def _centre(frame: int, fps: float | Fraction) -> int:
    return int(frame * FEATURES_PER_SECOND / fps)
