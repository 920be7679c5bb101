"""How sure a figure is: statistics of what was measured over time, and their noise.

Neighbouring frames are alike, so noise is found by drawing blocks of a second, not frames (moving
blocks are drawn with replacement, Künsch 1989). All draws are the same for the same span of time:
two results of one video are compared draw by draw, and what varies with the video cancels out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Statistic = Callable[[np.ndarray], float]
"""(K, C) rows, of K moments -> one number; nan: they do not tell."""

BLOCK = 1.0
"""Seconds that are drawn together."""
DRAWS = 200
_COVERAGE = (2.5, 97.5)  # per cent
_SEED = 17


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one figure is computed from.

    name: of a Figure, see evaluate.figure. seconds: (K,) float64, rising: when. rows: (K, C)
    float64; what the columns are is the figure's own affair. Rows with nan do not count.
    """

    name: str
    seconds: np.ndarray
    rows: np.ndarray

    def known(self) -> Measured:
        """The rows without nan."""
        kept = ~np.isnan(self.rows).any(axis=1)
        return Measured(self.name, self.seconds[kept], self.rows[kept])

    @property
    def span(self) -> float:
        """Seconds from the first moment to the last."""
        return float(self.seconds[-1] - self.seconds[0]) if len(self.seconds) else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and the interval of 95 % that its noise leaves; nan: not known."""

    value: float
    low: float
    high: float


NOTHING = Estimate(*[float("nan")] * 3)


def mean(rows: np.ndarray) -> float:
    """rows: (K, 1)."""
    return float(rows.mean()) if len(rows) else float("nan")


def median(rows: np.ndarray) -> float:
    """rows: (K, 1)."""
    return float(np.median(rows)) if len(rows) else float("nan")


def ratio_of_sums(rows: np.ndarray) -> float:
    """rows: (K, 2): numerator, denominator."""
    above, below = rows.sum(axis=0) if len(rows) else (0.0, 0.0)
    return float(above / below) if below > 0 else float("nan")


def correlation(rows: np.ndarray) -> float:
    """Pearson's r of two columns."""
    if len(rows) < 3 or not rows.std(axis=0).all():
        return float("nan")
    return float(np.corrcoef(rows.T)[0, 1])


def estimate(measured: Measured, statistic: Statistic) -> Estimate:
    """The statistic of all rows. The interval needs three blocks; without them it is nan."""
    known = measured.known()
    value = statistic(known.rows)
    if np.isnan(value):
        return NOTHING
    return Estimate(value, *_interval(_drawn(known, statistic), value))


def difference(one: Measured, other: Measured, statistic: Statistic) -> Estimate:
    """How much more the statistic is of `other` than of `one`, two results of one video.

    Both are measured at about the same moments.
    """
    one, other = one.known(), other.known()
    value = statistic(other.rows) - statistic(one.rows)
    if np.isnan(value):
        return NOTHING
    start = min(one.seconds[0], other.seconds[0])
    stop = max(one.seconds[-1], other.seconds[-1])
    draws = [
        statistic(other.rows[b]) - statistic(one.rows[a])
        for a, b in zip(
            _draws(one.seconds, start, stop), _draws(other.seconds, start, stop), strict=True
        )
    ]
    return Estimate(value, *_interval(np.array(draws), value))


def over_time(
    measured: Measured, statistic: Statistic, *, window: float, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """The statistic of the rows in windows of so many seconds: their middles (K,), values (K,).

    A window that holds no row gives nan.
    """
    known = measured.known()
    if not len(known.seconds):
        return np.empty(0), np.empty(0)
    middles = np.arange(known.seconds[0], known.seconds[-1] + step / 2, step)
    first = np.searchsorted(known.seconds, middles - window / 2)
    after = np.searchsorted(known.seconds, middles + window / 2, side="right")
    values = [statistic(known.rows[a:b]) for a, b in zip(first, after, strict=True)]
    return middles, np.array(values)


def _drawn(known: Measured, statistic: Statistic) -> np.ndarray:
    span = known.seconds[0], known.seconds[-1]
    return np.array([statistic(known.rows[rows]) for rows in _draws(known.seconds, *span)])


def _draws(seconds: np.ndarray, start: float, stop: float) -> list[np.ndarray]:
    """For each draw the indices of its rows; none where the span is too short."""
    blocks = int((stop - start) // BLOCK)
    if blocks < 3:
        return []
    generator = np.random.default_rng(_SEED)
    begins = start + generator.uniform(0, stop - start - BLOCK, (DRAWS, blocks))
    first = np.searchsorted(seconds, begins)
    after = np.searchsorted(seconds, begins + BLOCK, side="right")
    return [_in_ranges(one, other) for one, other in zip(first, after, strict=True)]


def _in_ranges(first: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(B,), (B,) -> the numbers of all ranges, one range after the other.

    Without a loop: two hours have 7200 blocks, and most of them hold no row.
    """
    counts = after - first
    before = np.cumsum(counts) - counts
    numbers: np.ndarray = np.repeat(first - before, counts) + np.arange(counts.sum())
    return numbers


def _interval(draws: np.ndarray, value: float) -> tuple[float, float]:
    """Around the value: of a magnitude near 0 all draws may be larger."""
    known = draws[~np.isnan(draws)] if len(draws) else draws
    if len(known) < DRAWS / 2:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _COVERAGE)
    return min(float(low), value), max(float(high), value)
