"""Curves over time, thinned so that what stands out stays, and as paths of an SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from latentsync.evaluate.page.words import number

MOST = 500
"""Points of a curve."""
WIDTH = 1000
"""Of the coordinates that a path is in: the whole video."""

Number = float | None


def thinned(
    seconds: Sequence[float], values: Sequence[Number], most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points: of each part of the curve the lowest and the highest stay.

    seconds: rising. Returns (K,), (K,) float64; nan: not known, a gap in the curve.
    """
    times = np.array(seconds, np.float64)
    heights = np.array([np.nan if one is None else one for one in values], np.float64)
    if len(times) <= most:
        return times, heights
    parts = np.array_split(np.arange(len(times)), most // 2)
    kept = np.concatenate([_extremes(heights, part) for part in parts])
    return times[kept], heights[kept]


def _extremes(heights: np.ndarray, part: np.ndarray) -> np.ndarray:
    known = part[~np.isnan(heights[part])]
    if not len(known):
        return part[:1]
    return np.unique(known[[heights[known].argmin(), heights[known].argmax()]])


def scale(values: np.ndarray, middle: Number) -> tuple[float, float]:
    """Lowest and highest value that a curve's drawing has room for.

    values: (K,), some of them known. middle: the figure itself. Small noise stays small: a tenth of
    the figure is always in.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    least = max(abs(low + high if middle is None else 2 * middle) / 20, 1e-9)
    missing = max(least - (high - low), 0) / 2
    return low - missing, high + missing


def path(
    times: np.ndarray,
    values: np.ndarray,
    *,
    span: float,
    bounds: tuple[float, float],
    height: float,
) -> str:
    """The `d` of a path in WIDTH x height, of points x,y; it begins anew after each gap.

    times: seconds. span: of the whole video.
    """
    low, high = bounds
    x = np.clip(times / span, 0, 1) * WIDTH
    y = height * (1 - (values - low) / (high - low))
    known = np.flatnonzero(~np.isnan(values))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(known) else []
    return "".join(_run(x[run].tolist(), y[run].tolist()) for run in runs)


def _run(x: Iterable[float], y: Iterable[float]) -> str:
    """A point alone is drawn as well, by the round ends of the line."""
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]
    return "M" + "L".join(points if len(points) > 1 else points * 2)


def shares(
    spans: Sequence[Sequence[float]], *, span: float, most: int = MOST
) -> list[tuple[float, float, float]]:
    """(start, stop, share) of bars for spans in seconds, in order and apart from each other.

    Each span is a bar with a share of 1. More than `most` cannot be told apart: then each bar is
    one of so many parts of the video, with the share of it that they cover. span: of the video.
    """
    cut = [(max(start, 0), min(stop, span)) for start, stop in spans if start < min(stop, span)]
    if len(cut) <= most:
        return [(start, stop, 1.0) for start, stop in cut]
    ends = np.array(cut).ravel()
    covered = np.concatenate([[0], np.cumsum(np.diff(ends) * (np.arange(len(ends) - 1) % 2 == 0))])
    parts = np.linspace(0, span, most + 1)
    found = np.clip(np.diff(np.interp(parts, ends, covered)) / np.diff(parts), 0, 1)
    bars = zip(parts[:-1].tolist(), parts[1:].tolist(), found.tolist(), strict=True)
    return [bar for bar in bars if bar[2] > 0]


def ticks(span: float, most: int = 10) -> list[float]:
    """Round times for an axis, from 0: the most that are not more than `most`."""
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    step = next((one for one in steps if span / one <= most), 3600 * -(-span // (3600 * most)))
    return [float(at) for at in np.arange(0, span + 1e-6, step)]


def percent(seconds: float, span: float) -> str:
    """Where a time lies on the axis."""
    return f"{number(100 * min(max(seconds / span, 0), 1), 2)}%"
