"""The table of all verdicts, and the sums over it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from latentsync.evaluate.files import write_whole
from latentsync.training.preparation.manifest import DROPPED, FAILED, NOT_JUDGED, STEPS, Row

NAME = "clips.csv"
_FIRST = ("clip", "source", "start", "end", "step", "verdict")
_FIGURES = (
    *("width", "height", "fps", "audio_seconds", "face_width", "speech", "offset", "confidence"),
    *("distance", "lip_delay_ms", "lip_agreement", "quality", "blur"),
)


def csv_text(rows: Sequence[Row]) -> str:
    """A row for each step of each clip, in order; reasons last."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIRST, *_FIGURES, "reason"], restval="")
    writer.writeheader()
    for row in rows:
        named = {name: getattr(row, name) for name in _FIRST}
        named |= {"start": f"{row.start:.2f}", "end": f"{row.end:.2f}"}
        figures = {name: f"{value:.5g}" for name, value in row.figures.items()}
        writer.writerow({**named, **figures, "reason": row.reason})
    return text.getvalue()


def write_table(rows: Sequence[Row], output: Path) -> None:
    """Raises MediaError: it cannot be written."""
    write_whole(csv_text(rows), output / NAME, "the table")


@dataclass(slots=True)
class StepSum:
    """What one step did. Each a number of pieces and their seconds; reasons: of those dropped, or
    failed on, doubts: of those not judged; with the numbers in them left out."""

    step: str
    dropped: int = 0
    dropped_seconds: float = 0.0
    not_judged: int = 0
    not_judged_seconds: float = 0.0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)


def sums(rows: Sequence[Row]) -> list[StepSum]:
    """Of the steps that dropped something, or could not judge, in order."""
    found = {name: StepSum(name) for name in STEPS}
    for row in rows:
        one = found[row.step]
        if row.verdict == DROPPED:
            one.dropped += 1
            one.dropped_seconds += row.seconds
            one.reasons[kind_of(row.reason)] += 1
        elif row.verdict == NOT_JUDGED:
            one.not_judged += 1
            one.not_judged_seconds += row.seconds
            one.doubts[kind_of(row.reason)] += 1
        elif row.verdict == FAILED:
            one.failed += 1
            one.reasons[kind_of(row.reason)] += 1
    return [one for one in found.values() if one.dropped or one.not_judged or one.failed]


def kind_of(reason: str) -> str:
    """The reason, with every number as "…", so that like ones count together."""
    words = reason.split(" (--")[0].split("; ")[0].split()
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in words)
