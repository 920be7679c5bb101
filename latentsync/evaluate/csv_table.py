"""Many evaluations as a CSV table: a row a video, a column a figure, and their averages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from latentsync.evaluate.figures import FIGURES, GROUPS
from latentsync.evaluate.files import write_whole

VIDEO, AVERAGE = "video", "average"
"""The first column, and its word in the last row."""

Rows = list[dict[str, str]]


def table(evaluations: Sequence[Mapping[str, Any]], names: Iterable[str] = FIGURES) -> Rows:
    """names: of figures; those that no video has are left out. An unknown value is empty. The last
    row averages those that are known."""
    kept = [name for name in names if any(name in one["figures"] for one in evaluations)]
    rows = [_row(one, kept) for one in evaluations]
    if evaluations:
        means = {name: average(evaluations, name) for name in kept}
        rows.append({VIDEO: AVERAGE} | {name: f"{mean:.5g}" for name, mean in means.items()})
    return rows


def average(evaluations: Sequence[Mapping[str, Any]], name: str) -> float:
    """Of the videos in which the figure is known; one of them at least."""
    found = [one["figures"][name]["value"] for one in evaluations if name in one["figures"]]
    return float(sum(found) / len(found))


def _row(evaluation: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    figures, said = evaluation["figures"], evaluation["verdict"]
    row = {VIDEO: evaluation["result"]["path"], **{group: said[group] for group in GROUPS}}
    return row | {name: f"{figures[name]['value']:.5g}" for name in names if name in figures}


def csv_text(rows: Rows) -> str:
    """RFC 4180, with a line of names."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(evaluations: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Raises as files.write_whole does."""
    write_whole(csv_text(table(evaluations)), path, "the table")
