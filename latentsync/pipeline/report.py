"""What was done to a video, as plain data for ``out.report.json``; docs/report.md documents it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsync.generate.base import LipGenerator
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stage_timer import Stage, Work
from latentsync.places import part_file
from latentsync.restoration.base import Restorer
from latentsync.restoration.gate import runs
from latentsync.runtime.execution import FORMATS, Execution
from latentsync.weights import record

if TYPE_CHECKING:
    from latentsync.pipeline.output import Output
    from latentsync.pipeline.session import Session

SCHEMA = 2
KIND = "latentsync report"
"""What a file says of itself, so that nothing else is ever replaced by a report."""


def plan_report(plan: RenderPlan, restored: np.ndarray, reused: int) -> dict[str, Any]:
    """Faces, decisions and what came of them: per output frame and as spans in seconds.

    restored: (N,) int, by how many code values the restoration changed each frame. reused: frames
    that took an earlier one's restoration.
    """
    analysis, seconds = plan.analysis, plan.seconds
    has_face, changed = plan.track >= 0, restored > 0
    return {
        "frames": {
            "total": len(plan),
            "with_face": int(has_face.sum()),
            "generated": int((plan.chunk >= 0).sum()),
            "selected": int((plan.strength > 0).sum()),
            "restored": int(changed.sum()),
            "reused": reused,
        },
        "spans_seconds": {
            "without_face": _seconds(seconds, ~has_face),
            "restored": _seconds(seconds, changed),
            "face_left_alone": _seconds(seconds, has_face & ~changed),
        },
        "tracks": len(plan.tracks),
        "cuts_seconds": [round(float(t), 3) for t in analysis.pts_seconds[analysis.cuts]],
        "per_frame": {
            "scale": _numbers(plan.scale, 3),
            "sharpness": _numbers(plan.sharpness, 3),
            "strength": _numbers(plan.strength, 3),
            "change": [int(change) for change in restored],
        },
    }


def session_report(
    session: Session,
    output: Output,
    *,
    restored: np.ndarray,
    seconds: float,
    work: Mapping[str, Work],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The whole report. restored: see plan_report. seconds: from start to end. work: of the stages
    in that time."""
    restorers, generator = session.restorers, session.generator
    return {
        "kind": KIND,
        "schema": SCHEMA,
        **_media_facts(session, output),
        "restorer": None if restorers is None else describe(restorers.loaded),
        "learnt": {} if restorers is None else restorers.verdicts,
        "generator": None if generator is None else describe(generator),
        **plan_report(session.plan, restored, session.reused),
        "execution": _execution(session.execution),
        "seconds": {
            **{name: round(one.busy, 3) for name, one in work.items()},
            "total": round(seconds, 3),
        },
        "stages": stages(work),
        "warnings": list(warnings),
        "settings": dataclasses.asdict(session.config),
    }


def is_report(path: Path) -> bool:
    """Whether the file is a report of this program, which a newer one may replace."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def _media_facts(session: Session, output: Output) -> dict[str, Any]:
    source, settings = session.source.info, output.settings
    return {
        "input": {
            "path": str(source.path),
            "codec": source.codec,
            "width": source.width,
            "height": source.height,
            "fps": float(source.average_rate),
            "audio": [audio.codec for audio in source.audio],
            "new_audio": None if session.audio is None else str(session.audio),
        },
        "output": {
            "path": str(output.target),
            "codec": settings.codec,
            "crf": settings.crf,
            "preset": settings.preset,
            "pix_fmt": settings.pix_fmt,
        },
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
    head = f"{'stage':16} {'busy':>9} {'no input':>9} {'no room':>9} {'frames':>7} {'fps':>7}"
    frames, seconds = report["frames"]["total"], report["seconds"]["total"]
    total = f"{'total':16} {seconds:7.1f} s {'':19} {frames:7d} {frames / seconds:7.1f}"
    return "\n".join([head, *(_line(name, one) for name, one in report["stages"].items()), total])


def _line(name: str, stage: Mapping[str, Any]) -> str:
    waits = f"{stage['waiting_for_input']:7.1f} s {stage['waiting_for_room']:7.1f} s"
    fps = "" if stage["fps"] is None else f"{stage['fps']:7.1f}"
    frames = stage["frames"] or ""
    return f"{name:16} {stage['busy']:7.1f} s {waits} {frames:>7} {fps:>7}".rstrip()


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
    name, order = item[0], [stage.value for stage in Stage]
    return order.index(name) if name in order else len(order)


def _execution(execution: Execution) -> dict[str, Any]:
    return {
        "backend": execution.backend,
        "precision": next(n for n, dtype in FORMATS.items() if dtype == execution.dtype),
        "device": str(execution.device),
        "threads": execution.threads,
    }


def write_report(report: dict[str, Any], path: Path) -> None:
    """JSON under its name only when complete."""
    text = json.dumps(report, indent=1, allow_nan=False, default=str) + "\n"
    with part_file(path) as part:
        part.write_text(text, "utf-8")


def _seconds(pts_seconds: np.ndarray, flags: np.ndarray) -> list[list[float]]:
    """Runs of True as [first, last] frame times."""
    return [
        [round(float(pts_seconds[a]), 3), round(float(pts_seconds[b - 1]), 3)]
        for a, b in runs(flags)
    ]


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), digits) for v in values]
