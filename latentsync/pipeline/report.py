"""What was done to a film, as plain data for ``out.json``; docs/report.md documents it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.generate.base import LipGenerator
from latentsync.pipeline.plan import FilmPlan
from latentsync.restore.base import Restorer
from latentsync.restore.gate import runs
from latentsync.schema import Config
from latentsync.weights import record

SCHEMA = 1


def film_report(plan: FilmPlan, restored: np.ndarray) -> dict[str, Any]:
    """Faces and decisions: per output frame and as spans in seconds. restored: (N,) shares."""
    survey = plan.survey
    shown = np.array([plan.source(i) for i in range(len(plan))])
    seconds = survey.pts_seconds if plan.timeline is None else plan.timeline.seconds
    has_face = survey.tracks[shown] >= 0
    return {
        "frames": {
            "total": len(plan),
            "with_face": int(has_face.sum()),
            "generated": int((plan.chunks >= 0).sum()),
            "restored": int((restored > 0).sum()),
        },
        "spans_seconds": {
            "without_face": _seconds(seconds, ~has_face),
            "restored": _seconds(seconds, restored > 0),
            "face_left_alone": _seconds(seconds, has_face & (restored == 0)),
        },
        "tracks": len(plan.tracks),
        "cuts_seconds": [round(float(t), 3) for t in survey.pts_seconds[survey.cuts]],
        "per_frame": {
            "scale": _numbers(plan.scale[shown], 3),
            "sharpness": _numbers(plan.sharpness[shown], 3),
            "weight": _numbers(restored, 3),
        },
    }


def job_report(
    config: Config,
    plan: FilmPlan,
    restorer: Restorer | None,
    generator: LipGenerator | None,
    *,
    learnt: dict[int, dict[str, Any]],
    restored: np.ndarray,
    media: dict[str, Any],
    seconds: dict[str, float],
    warnings: list[str],
) -> dict[str, Any]:
    """The whole report. learnt: by track, what a restorer that learns said of it. media: facts on
    input and output. seconds: wall time per stage."""
    return {
        "schema": SCHEMA,
        **media,
        "restorer": None if restorer is None else describe(restorer),
        "learnt": learnt,
        "generator": None if generator is None else describe(generator),
        **film_report(plan, restored),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "warnings": warnings,
        "settings": dataclasses.asdict(config),
    }


def describe(model: Restorer | LipGenerator) -> dict[str, Any]:
    """Name, what it says of itself (facts), and of its weights: file, sha256 and licence."""
    checkpoint = getattr(model, "checkpoint", None)
    return {
        "name": model.name,
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "sha256": None if checkpoint is None else record.sha256(checkpoint),
        "licence": getattr(model, "licence", None),
        **getattr(model, "facts", {}),
    }


def write_report(report: dict[str, Any], path: Path) -> None:
    """JSON under its name only when complete."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(report, indent=1, allow_nan=False, default=str) + "\n", "utf-8")
    part.replace(path)


def _seconds(pts_seconds: np.ndarray, flags: np.ndarray) -> list[list[float]]:
    """Runs of True as [first, last] frame times."""
    return [
        [round(float(pts_seconds[a]), 3), round(float(pts_seconds[b - 1]), 3)]
        for a, b in runs(flags)
    ]


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), digits) for v in values]
