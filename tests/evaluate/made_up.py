"""Figures and measurements that are made up, and an evaluation of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.evaluate.evaluation import evaluation
from latentsync.evaluate.facts import Judged, VideoFacts
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.statistics import Measured, mean

SOFTNESS = Figure(
    "softness",
    "mouth",
    "Softness of the mouth",
    "px",
    "lower",
    "Mean of made-up numbers.",
    mean,
    grain=0.05,
    good=1.0,
    poor=2.0,
)
OFFSET = Figure(
    "offset",
    "sync",
    "Audio offset",
    "frames",
    "near",
    "Mean of made-up numbers.",
    mean,
    good=1.0,
    poor=3.0,
    needs=("speech",),
)
GAIN = Figure("gain", "mouth", "Gain", "", "higher", "Mean of made-up numbers.", mean)
EDGE = Figure(
    *("edge", "mouth", "Edge of the mouth", "", "lower", "Mean of made-up numbers.", mean),
    good=1.0,
    poor=2.0,
)
TABLE = {one.name: one for one in (SOFTNESS, OFFSET, GAIN, EDGE)}

SECONDS = np.arange(0, 40, 0.04)


def measured(name: str, values: np.ndarray | float, *, noise: float = 0.01) -> Measured:
    """values: of each moment of SECONDS, or of all. noise: added, the same in every call."""
    drawn = np.random.default_rng(3).normal(0, noise, len(SECONDS))
    return Measured(name, SECONDS, (values + drawn)[:, None])


def video(name: str = "result.mp4") -> VideoFacts:
    return VideoFacts(Path(name), 1080, 1920, 25.0, 40.0, 1000)


def judged(**changed: Any) -> Judged:
    given = {"result": video(), "source": video("source.mp4"), "audio": None, "measured": 1000}
    return Judged(**{**given, **changed})


def report(**spans: list[list[float]]) -> dict[str, Any]:
    """A job's report, as far as an evaluation reads it. spans: of spans_seconds."""
    detail = {"name": "Detail", "checkpoint": None, "sha256": None, "licence": "Apache-2.0"}
    return {
        "kind": "latentsync report",
        "version": "0.0.1",
        "created": "2026-01-01T00:00:00+00:00",
        "restorer": detail,
        "generator": None,
        "frames": {"total": 1000, "generated": 0, "restored": 900, "reused": 3, "uncertain": 0},
        "spans_seconds": spans,
        "cuts_seconds": [20.0],
        "provenance": {},
        "stages": {},
        "seconds": {"total": 12.5},
        "settings": {"restore": {"region": "mouth"}},
        "per_frame": {},
    }


def evaluated(
    *found: Measured, reasons: dict[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    measurements: Sequence[Measured] = found
    about = judged(**given.pop("about", {}))
    return evaluation(measurements, about, not_measured=reasons or {}, figures=TABLE, **given)
