"""The evaluation of a result as plain data, for ``result.evaluation.json``.

docs/evaluation.md documents it, evaluation.schema.json is its JSON Schema.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from latentsync import __version__
from latentsync.evaluate.facts import Judged
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.files import KIND
from latentsync.evaluate.grades import cost, grade
from latentsync.evaluate.job_facts import frame_counts, job_facts
from latentsync.evaluate.statistics import Measured, estimate, over_time
from latentsync.evaluate.verdict import summary, verdicts

SCHEMA = 1
MOST_POINTS = 2000
"""Of a curve in time."""
WORST = 5
"""Number of moments listed of each figure."""
_STEPS = 4  # of a curve, in each of its windows
TOO_FEW = "too few frames of this video tell"


def evaluation(
    measured: Sequence[Measured],
    judged: Judged,
    *,
    not_measured: Mapping[str, str],
    report: Mapping[str, Any] | None = None,
    command: str | None = None,
    figures: Mapping[str, Figure] = FIGURES,
) -> dict[str, Any]:
    """The whole evaluation.

    measured: at most one for each figure. not_measured: by figure, why. report: of the job that
    made the result, see pipeline.report. command: the command line, if there is one.
    """
    known = {one.name: one for one in measured}
    found = {name: _figure(figures[name], known[name]) for name in figures if name in known}
    found = {name: one for name, one in found.items() if one["value"] is not None}
    reasons = {name: not_measured.get(name, TOO_FEW) for name in figures if name not in found}
    made: dict[str, Any] = {
        "kind": KIND,
        "schema": SCHEMA,
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "result": judged.result.plain(),
        "source": None if judged.source is None else judged.source.plain(),
        "audio": None if judged.audio is None else str(judged.audio),
        "summary": [],
        "verdict": verdicts(found),
        "figures": found,
        "not_measured": reasons,
        "frames": {
            "total": judged.result.frames,
            "measured": judged.measured,
            **frame_counts(report, judged.result.fps),
        },
        "spans_seconds": {} if report is None else report["spans_seconds"],
        "cuts_seconds": list(judged.cuts_seconds) if report is None else report["cuts_seconds"],
        "job": job_facts(report),
    }
    return {**made, "summary": summary(made, figures)}


def _figure(figure: Figure, measured: Measured) -> dict[str, Any]:
    found = estimate(measured, figure.statistic)
    seconds, curve = curve_of(figure, measured)
    known = measured.known().seconds
    return {
        "group": figure.group,
        "title": figure.title,
        "unit": figure.unit,
        "better": figure.better,
        "goal": figure.goal if figure.better == "near" else None,
        "good": figure.good,
        "poor": figure.poor,
        "how": figure.how,
        "value": number(found.value),
        "low": number(found.low),
        "high": number(found.high),
        "grade": grade(figure, found, span=measured.known().span),
        "moments": len(known),
        "seconds": [round(float(one), 3) for one in seconds],
        "curve": [number(one) for one in curve],
        "worst": _worst(figure, known, seconds, curve),
    }


def curve_of(figure: Figure, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """The figure over time: (K,) seconds and values, K at most MOST_POINTS; nan: not known."""
    known = measured.known().seconds
    span = float(known[-1] - known[0]) if len(known) else 0.0
    window = window_of(figure, known)
    step = max(window / _STEPS, span / (MOST_POINTS - 1))
    window = max(window, step)  # so that no moment falls between two windows
    seconds, curve = over_time(measured, figure.statistic, window=window, step=step)
    return seconds[:MOST_POINTS], curve[:MOST_POINTS]


def window_of(figure: Figure, seconds: np.ndarray) -> float:
    """Seconds that a point of the curve stands for: more than the figure's own where a long video
    was measured in few places, so that the curve goes on between them."""
    steps = np.diff(seconds)
    jumps = steps[steps > figure.window]
    if not len(jumps) or jumps.sum() < (seconds[-1] - seconds[0]) / 2:
        return figure.window
    return 1.5 * float(np.median(jumps))


def worst_moments(
    figure: Figure, seconds: np.ndarray, curve: np.ndarray, *, window: float
) -> list[int]:
    """Indices of the worst points of a curve, the worst first, whose windows do not overlap; none
    of several that are all alike."""
    left = np.array([cost(figure, one) for one in curve], float)
    found: list[int] = []
    if len(left) > 1 and len(np.unique(left[~np.isnan(left)])) == 1:
        return found
    while len(found) < WORST and not np.isnan(left).all():
        worst = int(np.nanargmax(left))
        found.append(worst)
        left[np.abs(seconds - seconds[worst]) < window] = np.nan
    return found


def _worst(figure: Figure, known: np.ndarray, seconds: np.ndarray, curve: np.ndarray) -> list[Any]:
    """[second, value] of the worst moments. known: (K,) seconds of what was measured: a moment is
    one of these, so that a frame that was looked at can be shown."""
    indices = worst_moments(figure, seconds, curve, window=window_of(figure, known))
    nearest = [float(known[np.abs(known - seconds[i]).argmin()]) for i in indices]
    return [[round(t, 3), number(curve[i])] for t, i in zip(nearest, indices, strict=True)]


def number(value: float) -> float | None:
    """Five digits, as JSON has them; None for nan."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.5g}")
