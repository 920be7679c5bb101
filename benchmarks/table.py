"""The results of the benchmarks: rows, and the table and JSON made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEAD = ("work", "ours", "baseline", "ratio", "peak memory", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ours, baseline: median seconds; None: no baseline.

    against: what the baseline is. peak: memory [MB] of the process while it ran ours alone; 0: not
    known. note: other figures.
    """

    work: str
    ours: float
    baseline: float | None = None
    against: str = ""
    peak: float = 0.0
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the baseline ours is."""
        return self.baseline / self.ours if self.baseline is not None and self.ours else None


def table(rows: Sequence[Row]) -> str:
    """A Markdown table with aligned columns."""
    return markdown([HEAD, *(_cells(row) for row in rows)])


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """The same of any rows of equal length; the first is the head."""
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def as_json(rows: Sequence[Row], machine: dict[str, Any]) -> str:
    """Rows and machine as JSON, in seconds and megabytes."""
    kept = [{**asdict(row), "ratio": row.ratio} for row in rows]
    return json.dumps({"machine": machine, "rows": kept}, indent=1, allow_nan=False) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
    peak = f"{row.peak:.0f} MB" if row.peak else ""
    baseline = "" if row.baseline is None else f"{duration(row.baseline)} ({row.against})"
    return row.work, duration(row.ours), baseline, ratio, peak, row.note


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1000:.2f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
