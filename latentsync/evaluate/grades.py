"""How good a figure is: grades by its limits, as far as its interval allows."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from typing import Literal

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.statistics import Estimate

Grade = Literal["good", "fair", "poor"]
Verdict = Literal["good", "fair", "poor", "unknown"]


def cost(figure: Figure, value: float) -> float:
    """The lower, the better, in the figure's unit; nan stays nan."""
    if figure.better == "near":
        return abs(value - figure.goal)
    return -value if figure.better == "higher" else value


def costs(figure: Figure, found: Estimate) -> tuple[float, float]:
    """Least and most that the interval allows; without one, those of the value."""
    if isnan(found.low) or isnan(found.high):
        return (cost(figure, found.value),) * 2
    ends = [cost(figure, found.low), cost(figure, found.high)]
    if figure.better == "near" and found.low <= figure.goal <= found.high:
        ends.append(0.0)
    return min(ends), max(ends)


def grade(figure: Figure, found: Estimate, *, span: float) -> Grade | None:
    """ "good" and "poor" only where the whole interval is so. None: the figure has no limits, is
    not known, or its interval reaches from good to poor; or it was measured for less than one of
    its windows. span: seconds of the video that were measured."""
    if figure.good is None or figure.poor is None or isnan(found.value):
        return None
    if span < figure.window:  # an interval shows noise, not that a short piece has a wrong peak
        return None
    best, worst = (_grade(figure, one) for one in costs(figure, found))
    if best == worst:
        return best
    return None if {best, worst} == {"good", "poor"} else "fair"


def _grade(figure: Figure, cost: float) -> Grade:
    assert figure.good is not None and figure.poor is not None
    sign = -1 if figure.better == "higher" else 1
    if cost < sign * figure.good:
        return "good"
    return "poor" if cost >= sign * figure.poor else "fair"


def verdict(grades: Iterable[Grade | None]) -> Verdict:
    """Of several figures: that of the worst. "unknown" where none has a grade."""
    known = {one for one in grades if one is not None}
    for one in ("poor", "fair", "good"):
        if one in known:
            return one
    return "unknown"
