"""Offset, distance and confidence of lip-sync from the embeddings of SyncNet.

The arithmetic of Chung and Zisserman, "Out of time" (2016), as joonson/syncnet_python and with it
LatentSync's eval/syncnet do it: each window of lips is compared with the audio at 31 shifts, the
distances are averaged over time, and the shift with the least one is the offset. Its distance is
known as LSE-D, and how far it lies below the median of the curve is LSE-C.
"""

from __future__ import annotations

import numpy as np

from latentsync.face.active_speaker import running_median

REACH = 15
"""Greatest shift that is tried, in frames of 1/25 s."""
SHIFTS = 2 * REACH + 1
_EPSILON = 1e-6  # torch's pairwise_distance adds it to each component
_SMOOTHED = 9  # windows in the median of the confidence over time


def padded(audio: np.ndarray) -> np.ndarray:
    """(L, D) -> (L + 30, D): with zero vectors at both ends, as upstream."""
    return np.pad(audio, ((REACH, REACH), (0, 0)))


def distances(lips: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """lips: (n, D), of consecutive windows. audio: (n + 30, D), from 15 windows before the first
    one to 15 after the last -> (n, 31) float64.

    Column j: the audio is that of j - 15 windows later. Of a whole track `audio` is padded(...).
    """
    exact = lips.astype(np.float64) + _EPSILON
    columns = [
        np.linalg.norm(exact - audio[shift : shift + len(lips)], axis=1) for shift in range(SHIFTS)
    ]
    return np.stack(columns, axis=1)


def mean_curve(rows: np.ndarray) -> np.ndarray:
    """rows: (L, 31) of `distances` -> (31,)."""
    curve: np.ndarray = rows.mean(axis=0)
    return curve


def offset(curve: np.ndarray) -> int:
    """curve: (31,) -> -15 to 15, frames of 1/25 s by which the audio is ahead of the lips."""
    return REACH - int(curve.argmin())


def least_distance(curve: np.ndarray) -> float:
    """LSE-D: the lower the better."""
    return float(curve.min())


def confidence(curve: np.ndarray) -> float:
    """LSE-C: the higher the better."""
    return float(np.median(curve) - curve.min())


def confidence_over_time(rows: np.ndarray) -> np.ndarray:
    """rows: (L, 31) -> (L,): how far each window, at the offset of all, lies below the median of
    the mean curve; then the median over nine windows.

    Upstream pads with zeros for it, which lowers the first and last four.
    """
    curve = mean_curve(rows)
    each = np.median(curve) - rows[:, curve.argmin()]
    return running_median(each[:, None], _SMOOTHED, beyond="constant")[:, 0]
