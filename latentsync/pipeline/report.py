"""What was done to a film, as plain data for ``out.json``; docs/report.md documents it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.generate.base import LipGenerator
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.stage_timer import Work
from latentsync.restore.base import Restorer
from latentsync.restore.gate import runs
from latentsync.runtime.execution import FORMATS, Execution
from latentsync.schema import Config
from latentsync.weights import record

SCHEMA = 1
STAGES = (
    *("load", "decode", "detect", "measure", "align", "rehearse"),
    *("decode again", "listen", "generate", "restore", "composite", "convert", "encode"),
)


def film_report(plan: FilmPlan, restored: np.ndarray, reused: int) -> dict[str, Any]:
    """Faces and decisions: per output frame and as spans in seconds. restored: (N,) shares.
    reused: frames that took an earlier one's restoration."""
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
            "reused": reused,
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
    reused: int,
    media: dict[str, Any],
    execution: Execution,
    work: Mapping[str, Work],
    seconds: float,
    warnings: list[str],
) -> dict[str, Any]:
    """The whole report. learnt: by track, what a restorer that learns said of it. media: facts on
    input and output. work: by stage. seconds: from start to end."""
    return {
        "schema": SCHEMA,
        **media,
        "restorer": None if restorer is None else describe(restorer),
        "learnt": learnt,
        "generator": None if generator is None else describe(generator),
        **film_report(plan, restored, reused),
        "execution": _execution(execution),
        "seconds": {
            **{name: round(one.busy, 3) for name, one in work.items()},
            "total": round(seconds, 3),
        },
        "stages": stages(work),
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


def stages(work: Mapping[str, Work]) -> dict[str, Any]:
    """What each stage did and what it waited for, in the order in which a frame meets them."""
    return {name: _stage(one) for name, one in sorted(work.items(), key=_place)}


def stage_table(report: Mapping[str, Any]) -> str:
    """The report's stages as lines of text: what each did, and what it waited for."""
    head = f"{'stage':12} {'busy':>9} {'no input':>9} {'no room':>9} {'frames':>7} {'fps':>7}"
    frames, seconds = report["frames"]["total"], report["seconds"]["total"]
    total = f"{'total':12} {seconds:7.1f} s {'':19} {frames:7d} {frames / seconds:7.1f}"
    return "\n".join([head, *(_line(name, one) for name, one in report["stages"].items()), total])


def _line(name: str, stage: Mapping[str, Any]) -> str:
    waits = f"{stage['waiting_for_input']:7.1f} s {stage['waiting_for_room']:7.1f} s"
    fps = "" if stage["fps"] is None else f"{stage['fps']:7.1f}"
    frames = stage["frames"] or ""
    return f"{name:12} {stage['busy']:7.1f} s {waits} {frames:>7} {fps:>7}".rstrip()


def _stage(work: Work) -> dict[str, Any]:
    return {
        "busy": round(work.busy, 3),
        "waiting_for_input": round(work.for_input, 3),
        "waiting_for_room": round(work.for_room, 3),
        "frames": work.frames,
        "fps": round(work.frames / work.busy, 2) if work.frames and work.busy else None,
    }


def _place(item: tuple[str, Work]) -> int:
    """Stages in the order in which a frame meets them."""
    name = item[0]
    return STAGES.index(name) if name in STAGES else len(STAGES)


def _execution(execution: Execution) -> dict[str, Any]:
    return {
        "backend": execution.backend,
        "precision": next(n for n, dtype in FORMATS.items() if dtype == execution.dtype),
        "device": str(execution.device),
        "threads": execution.threads,
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
