"""What is computed from the rows that measures.lips keeps: correlations, delay, spread, stillness.

The aperture alone is a weak witness: the width of the lips, and the level of the audio, are
compared too, each with the strength that tells people's own speech from other speech best.
"""

from __future__ import annotations

import numpy as np

LAGS = np.arange(-15, 16)
"""Shifts at which lips and audio are compared, in steps of LAG_STEP seconds; above 0: lips late."""
LAG_STEP = 0.04

LEVEL, APERTURE, WIDTH = range(3)
"""Signals of the audio: its level, and the aperture and the width that it predicts."""
STRENGTHS = np.array([0.4, 1.2, 0.6])
LIPS = (0, 0, 1)
"""Of each signal of the audio, which of the lips' it is compared with: aperture or width."""

CLEAR = 0.7
"""Height of a curve's peak over its median, times the square root of the seconds measured, from
which it is a peak. Speech that is not a person's own reaches it in 7 of 100 clips of 5 to 20 s."""
ALONE = 0.05
"""How much higher the peak is than the curve further than BESIDE lags from it, at least."""
BESIDE = 5
_FEWEST = 50  # rows, for a curve over lags
_PER_SECOND = 25  # rows in a second, about


def follow(rows: np.ndarray) -> float:
    """(K, 4) aperture, its prediction, width, its prediction -> r of both, mean by STRENGTHS."""
    if len(rows) < 3:
        return float("nan")
    strengths = STRENGTHS[[APERTURE, WIDTH]]
    found = [_correlations(rows[:, [at]], rows[:, [at + 1]])[0] for at in (0, 2)]
    return float(strengths @ np.array(found) / strengths.sum())


def lag_curve(rows: np.ndarray) -> np.ndarray:
    """(K, 2 + 3 L) aperture, width, then each signal of the audio at all LAGS -> (L,) r."""
    lips, audio = rows[:, :2], rows[:, 2:].reshape(len(rows), len(LIPS), len(LAGS))
    found = [_correlations(lips[:, [one]], audio[:, at]) for at, one in enumerate(LIPS)]
    curve: np.ndarray = STRENGTHS @ np.stack(found) / STRENGTHS.sum()
    return curve


def delay(rows: np.ndarray) -> float:
    """Rows of lag_curve -> milliseconds that the lips are late; nan: no peak stands out."""
    if len(rows) < _FEWEST:
        return float("nan")
    curve = lag_curve(rows)
    top = int(curve.argmax())
    elsewhere = curve[np.abs(np.arange(len(curve)) - top) > BESIDE]
    clear = (curve[top] - np.median(curve)) * np.sqrt(len(rows) / _PER_SECOND)
    at_the_end = top in (0, len(curve) - 1)
    if at_the_end or clear < CLEAR or curve[top] - elsewhere.max() < ALONE:
        return float("nan")
    before, here, after = curve[top - 1 : top + 2]
    beside = (before - after) / (2 * (before - 2 * here + after))
    return float((LAGS[top] + beside) * LAG_STEP * 1000)


def spread(rows: np.ndarray) -> float:
    """(K, 1) deviations -> their root mean square."""
    return float(np.sqrt((rows**2).mean())) if len(rows) else float("nan")


def relative_spread(rows: np.ndarray) -> float:
    """(K, 4) squared deviations and how many they are, of the result and of the source -> ratio.

    Where there is nothing to count, both are 0.
    """
    total = rows.sum(axis=0)
    if len(rows) == 0 or not (total[1:] > 0).all():
        return float("nan")
    return float(np.sqrt(total[0] / total[1] * total[3] / total[2]))


def stillness(rows: np.ndarray) -> float:
    """(K, 8) -> pauses over speech, the mean of the opening's ratio and the motion's.

    Columns: opening in pauses and whether it counts, in speech and whether it counts; the same of
    motion.
    """
    if not len(rows):
        return float("nan")
    sums, counts = rows.sum(axis=0).reshape(2, 2, 2).transpose(2, 0, 1)
    if not (counts > 0).all() or not (sums[:, 1] > 0).all():
        return float("nan")
    means = sums / counts
    return float((means[:, 0] / means[:, 1]).mean())


def _correlations(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(K, 1), (K, C) -> (C,): Pearson's r, 0 without variance."""
    a, b = one - one.mean(axis=0), others - others.mean(axis=0)
    spreads = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.maximum(spreads, 1e-12))
