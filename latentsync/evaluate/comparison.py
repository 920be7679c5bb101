"""Two results of the same source: which is better, by which figures, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np

from latentsync.evaluate.evaluation import curve_of, number
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.grades import cost, grade
from latentsync.evaluate.phrases import small
from latentsync.evaluate.statistics import Estimate, Measured, difference, estimate
from latentsync.evaluate.words import clock, counted, listed, shown

Better = Literal["one", "other", "same", "unknown"]
_SAID = 3  # figures in a sentence


@dataclass(frozen=True, slots=True)
class Difference:
    """What two results differ by in one figure. found: other minus one. where: seconds at which
    they differ most in the direction that makes one the better; None: not known. matters: not both
    are good, and the figure has limits of good and poor."""

    figure: Figure
    one: float
    other: float
    found: Estimate
    better: Better
    where: float | None
    matters: bool

    def plain(self) -> dict[str, Any]:
        found = self.found
        return {
            "one": number(self.one),
            "other": number(self.other),
            "difference": number(found.value),
            "low": number(found.low),
            "high": number(found.high),
            "better": self.better,
            "where": None if self.where is None else round(self.where, 3),
        }


def compare(
    one: Sequence[Measured],
    other: Sequence[Measured],
    figures: Mapping[str, Figure] = FIGURES,
) -> dict[str, Difference]:
    """By figure, of those that are known of both."""
    first, second = ({m.name: m for m in measured} for measured in (one, other))
    both = [name for name in figures if name in first and name in second]
    found = {name: _difference(figures[name], first[name], second[name]) for name in both}
    return {name: each for name, each in found.items() if each is not None}


def _difference(figure: Figure, one: Measured, other: Measured) -> Difference | None:
    first, second = (figure.statistic(measured.known().rows) for measured in (one, other))
    if isnan(first) or isnan(second):
        return None
    found, better = difference(one, other, figure.statistic), _better(figure, one, other)
    where = _where(figure, one, other, better)
    grades = {grade(figure, estimate(each, figure.statistic)) for each in (one, other)}
    matters = figure.good is not None and grades != {"good"}
    return Difference(figure, first, second, found, better, where, matters)


def _better(figure: Figure, one: Measured, other: Measured) -> Better:
    """By how much nearer `other` is to what is wanted: of a figure that is best near its goal that
    is not its difference."""
    gain = difference(other, one, lambda rows: cost(figure, figure.statistic(rows)))
    if isnan(gain.low) or isnan(gain.high):
        return "unknown"
    if gain.low <= 0 <= gain.high or abs(gain.value) <= figure.grain:
        return "same"
    return "other" if gain.value > 0 else "one"


def _where(figure: Figure, one: Measured, other: Measured, better: Better) -> float | None:
    if better not in ("one", "other"):
        return None
    (seconds, first), (those, second) = curve_of(figure, one), curve_of(figure, other)
    known = ~np.isnan(second)
    if not known.any():
        return None
    second = np.interp(seconds, those[known], second[known], left=np.nan, right=np.nan)
    gain = np.array(
        [cost(figure, a) - cost(figure, b) for a, b in zip(first, second, strict=True)]
    ) * (1 if better == "other" else -1)
    return None if np.isnan(gain).all() else float(seconds[np.nanargmax(gain)])


def comparison_words(found: Mapping[str, Difference], one: str, other: str) -> list[str]:
    """Sentences: which is better, by which figures, where; then what does not tell.

    one, other: names of the results.
    """
    wins = {side: [d for d in found.values() if d.better == side] for side in ("one", "other")}
    names = {"one": one, "other": other}
    return [_which(wins, names, found.values()), *_by_figures(wins, names), *_others(found)]


def _which(
    wins: Mapping[str, Sequence[Difference]], names: Mapping[str, str], all_: Iterable[Difference]
) -> str:
    """By the figures that matter; where none of these differs, by nothing."""
    if not any(d.better != "unknown" for d in all_):
        return "Which is better is not known: no figure could be compared beyond its noise."
    if not any(wins.values()):
        return "The two are the same: no figure differs by more than its noise."
    counts = {side: sum(d.matters for d in of) for side, of in wins.items()}
    better, worse = sorted(counts, key=lambda side: -counts[side])
    if not counts[better]:
        return "Neither is better where it counts: both are good in what they differ in."
    if counts[worse]:
        ones = f"{names['one']} in {counted(counts['one'], 'figure')}"
        return f"Neither is better in all: {ones}, {names['other']} in {counts['other']}."
    else_ = "worse only where both are good" if wins[worse] else "in none worse"
    return f"{names[better]} is better: in {counted(counts[better], 'figure')}, and {else_}."


def _by_figures(
    wins: Mapping[str, Sequence[Difference]], names: Mapping[str, str]
) -> Iterator[str]:
    for side, of in wins.items():
        if of:
            first = sorted(of, key=lambda one: not one.matters)[:_SAID]
            yield f"{names[side]} is better in {listed([_said(one) for one in first])}."


def _said(one: Difference) -> str:
    """ "sharpness of the mouth (0.71 to 0.94, most at 0:03)"."""
    numbers = f"{shown(one.one)} to {shown(one.other, one.figure.unit)}"
    where = "" if one.where is None else f", most at {clock(one.where)}"
    return f"{small(one.figure.title)} ({numbers}{where})"


def _others(found: Mapping[str, Difference]) -> Iterator[str]:
    same = [small(d.figure.title) for d in found.values() if d.better == "same"]
    unsure = [small(d.figure.title) for d in found.values() if d.better == "unknown"]
    if same:
        yield f"No difference beyond noise: {_few(same)}."
    if unsure:
        yield f"Not known, too short or too little seen: {_few(unsure)}."


def _few(titles: Sequence[str]) -> str:
    return listed(titles) if len(titles) <= _SAID else f"{len(titles)} figures"


def with_comparison(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    found: Mapping[str, Difference],
    names: tuple[str, str],
) -> dict[str, Any]:
    """The evaluation of one with what the other differs by. names: of the results."""
    return {
        **one,
        "other": other["result"],
        "comparison": {name: each.plain() for name, each in found.items()},
        "comparison_summary": comparison_words(found, *names),
    }
