"""Evaluations as lines of text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentsync.evaluate.csv_table import average
from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.words import capital, clock, counted, shown

Evaluation = Mapping[str, Any]


def summary_lines(evaluation: Evaluation) -> list[str]:
    """The verdict in words, then the figures."""
    return [*evaluation["summary"], *_aligned(map(_cells, evaluation["figures"].values()))]


def _cells(figure: Mapping[str, Any]) -> list[str]:
    low, high = figure["low"], figure["high"]
    sure = "" if low is None else f"{shown(low)} to {shown(high)}"
    worst = figure["worst"][0][0] if len(figure["worst"]) > 1 else None
    return [
        capital(figure["title"]),
        shown(figure["value"], figure["unit"]),
        sure,
        figure["grade"] or "",
        "" if worst is None else f"worst at {clock(worst)}",
    ]


def comparison_lines(evaluation: Evaluation, names: tuple[str, str]) -> list[str]:
    """The comparison in words, then the figures of both. evaluation: of the first, with its
    comparison."""
    figures = evaluation["figures"]
    words = {"one": names[0], "other": names[1], "same": "same", "unknown": "not known"}
    rows = [["", *names, "better"]]
    for name, one in evaluation["comparison"].items():
        unit = figures[name]["unit"]
        values = [shown(one[side], unit) for side in ("one", "other")]
        rows.append([capital(figures[name]["title"]), *values, words[one["better"]]])
    return [*evaluation["comparison_summary"], *_aligned(rows)]


def average_lines(evaluations: Sequence[Evaluation]) -> list[str]:
    """The figures of several videos, averaged over those in which each is known."""
    found = []
    for name, figure in FIGURES.items():
        known = [one for one in evaluations if name in one["figures"]]
        if known:
            mean = shown(average(known, name), figure.unit)
            found.append([capital(figure.title), mean, f"of {counted(len(known), 'video')}"])
    return _aligned(found)


def _aligned(rows: Iterator[list[str]] | Sequence[list[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
