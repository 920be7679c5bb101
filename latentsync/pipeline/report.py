"""The report of a run as plain data, for ``out.report.json``; docs/report.md documents it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from latentsync import __version__
from latentsync.generate.base import LipGenerator
from latentsync.media.picture.coding import stored_form
from latentsync.media.picture.kinds import name_beside
from latentsync.pipeline.compact_json import compact_json
from latentsync.pipeline.frame_report import flicker_report, plan_report
from latentsync.pipeline.requirements import restores
from latentsync.pipeline.stage_timer import Stage, Work
from latentsync.places import part_file
from latentsync.restoration.base import Quantizable, Restorer
from latentsync.runtime.execution import DTYPES, Execution
from latentsync.weights import record

if TYPE_CHECKING:
    from latentsync.media.probe import VideoInfo
    from latentsync.pipeline.lane import Lane
    from latentsync.pipeline.outcome import Outcome
    from latentsync.pipeline.output import Output
    from latentsync.pipeline.session import Session

SCHEMA = 5
KIND = "latentsync report"
"""Marks a file as a report: a report never replaces another kind of file."""


def session_report(
    session: Session,
    output: Output,
    *,
    outcomes: Sequence[Outcome],
    copied: bool,
    seconds: float,
    work: Mapping[str, Work],
    warnings: Sequence[str],
    provenance: Mapping[str, Any],
    command: str | None,
    decided: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The whole report.

    outcomes: of each speaker. copied: whether the source's video stream was copied. seconds: from
    start to end. work: of the stages in that time. provenance: see Marks.report. command: the
    command line, if there is one. decided: of the session that made the plan, see decisions();
    None: it is this one.
    """
    decided = decisions(session) if decided is None else decided
    parts = zip(session.lanes, outcomes, decided["speakers"], strict=True)
    first, *others = ({"speaker": who, **_speaker(lane, one)} for lane, one, who in parts)
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "host": _host(),
        **_media_facts(session, output, copied=copied),
        "length": _length(session),
        "people": decided["people"],
        "thresholds": _thresholds(session),
        **first,
        "other_speakers": others,
        "provenance": dict(provenance),
        "execution": {**_execution(session.execution), "int8": _in_int8(session)},
        "seconds": {
            **{name: round(one.busy, 3) for name, one in work.items()},
            "total": round(seconds, 3),
        },
        "stages": stages(work),
        "evaluation": None,  # of output.evaluate, which comes later
        "warnings": list(warnings),
        "settings": dataclasses.asdict(session.config),
    }


def decisions(session: Session) -> dict[str, Any]:
    """What is known of the people where the plan is made, and not where it is loaded."""
    return {"people": _people(session), "speakers": [_who(lane) for lane in session.lanes]}


def is_report(path: Path) -> bool:
    """Whether the file is a report of this program, which a newer one may replace."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def _host() -> dict[str, Any]:
    return {
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _speaker(lane: Lane, outcome: Outcome) -> dict[str, Any]:
    """What was done to one speaker's mouth, and with what."""
    restorers, generator = lane.restorers, lane.generator
    return {
        "restorer": None if restorers is None else describe(restorers.loaded),
        "fit": outcome.fit,
        "generator": None if generator is None else describe(generator),
        "strength": outcome.strengths,
        "gain": outcome.gain(),
        **plan_report(lane.plan, outcome, outcome.reused),
        **flicker_report(outcome.flicker),
    }


def _who(lane: Lane) -> dict[str, Any]:
    """Whose mouth it is, and the speech for it."""
    speaker, line = lane.speaker, lane.line
    placed = None if line is None or line.placed is None else line.placed
    return {
        "chosen_by": list(lane.plan.named),
        "person": None if speaker is None else speaker.person.number,
        "on_screen_seconds": None if speaker is None else _spans(speaker.person.spans),
        "absent_seconds": None if speaker is None else _spans(speaker.selection.absent),
        "speech": None if line is None else line.name,
        "speech_seconds": placed and _spans([(one.start, one.end) for one in placed]),
    }


def _spans(spans: Iterable[tuple[float, float]]) -> list[list[float]]:
    return [[round(start, 3), round(stop, 3)] for start, stop in spans]


def _people(session: Session) -> dict[str, Any]:
    """Of the whole video."""
    at_once = session.plan.analysis.people
    chosen = any(lane.speaker is not None for lane in session.lanes)
    return {
        "most_at_once": int(at_once.max(initial=0)),
        "frames_with_several": int((at_once > 1).sum()),
        "found": len(session.people.all) if chosen else None,
        "recognised_by": session.people.embedding.name if chosen else None,
        "speaking_known_by": session.people.evidence if chosen else None,
    }


def _thresholds(session: Session) -> dict[str, float | None]:
    """Thresholds of the gate; null where it did not decide."""
    restore = session.config.restore
    if not restores(session.config) or restore.when != "auto":
        return {"blur_on": None, "blur_off": None}
    return {"blur_on": restore.blur_on, "blur_off": restore.blur_off}


def _media_facts(session: Session, output: Output, *, copied: bool) -> dict[str, Any]:
    source, settings = session.source.info, output.settings
    if output.picture is not None:
        return _picture_facts(source, output, copied=copied)
    return {
        "input": {
            "kind": "video" if source.picture is None else "picture",
            "path": str(source.path),
            "codec": source.codec,
            "width": source.width,
            "height": source.height,
            "fps": float(source.average_rate),
            "audio": [audio.codec for audio in source.audio],
            "new_audio": ", ".join(one.line.name for one in session.lanes if one.line) or None,
        },
        "output": {
            "kind": "video",
            "path": str(output.target),
            "video": "copied" if copied else "encoded",
            "codec": source.codec if copied else settings.codec,
            **(dict.fromkeys(("crf", "preset")) if copied else settings.effective),
            "pix_fmt": source.pix_fmt if copied else settings.pix_fmt,
        },
    }


def _picture_facts(source: VideoInfo, output: Output, *, copied: bool) -> dict[str, Any]:
    assert source.picture is not None and output.picture is not None
    read, written = source.picture, output.picture
    channels, bits = stored_form(read, written.kind)
    size = {"codec": read.kind, "width": source.width, "height": source.height}
    form = {"channels": channels, "bits": bits, "quality": None if copied else written.quality}
    what = "copied" if copied else "encoded"
    return {
        "input": {"kind": "picture", "path": str(source.path), **size, "new_audio": None},
        "output": {
            "kind": "picture",
            "path": str(output.target),
            "video": what,
            "codec": written.kind,
            **form,
        },
    }


def _length(session: Session) -> dict[str, Any] | None:
    """What the output's length came to; None without new speech."""
    plan, config = session.plan, session.config
    if session.new_speech is None:
        return None
    return {
        "rule": config.compat or config.length,
        "video_seconds": round(plan.analysis.end(session.source.info.average_rate), 3),
        "output_seconds": round(plan.duration, 3),
        "stretch": round(plan.stretch, 5),
    }


def describe(model: Restorer | LipGenerator) -> dict[str, Any]:
    """Name, facts, and the file, sha256 and licence of its weights."""
    checkpoint = getattr(model, "checkpoint", None)
    return {
        "name": model.name,
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "sha256": None if checkpoint is None else record.sha256(checkpoint),
        "licence": getattr(model, "licence", None),
        **getattr(model, "facts", {}),
    }


def stages(work: Mapping[str, Work]) -> dict[str, Any]:
    """Working time and waits of each stage, in the order of processing."""
    return {name: _stage(one) for name, one in sorted(work.items(), key=_place)}


def stage_table(report: Mapping[str, Any]) -> str:
    """The report's stages as lines of text: working time and waits."""
    head = f"{'stage':16} {'busy':>9} {'idle':>9} {'blocked':>9} {'frames':>7} {'fps':>7}"
    frames, seconds = report["frames"]["total"], report["seconds"]["total"]
    total = f"{'total':16} {seconds:7.1f} s {'':19} {frames:7d} {frames / seconds:7.1f}"
    return "\n".join([head, *(_line(name, one) for name, one in report["stages"].items()), total])


def _line(name: str, stage: Mapping[str, Any]) -> str:
    waits = f"{stage['idle']:7.1f} s {stage['blocked']:7.1f} s"
    fps = "" if stage["fps"] is None else f"{stage['fps']:7.1f}"
    frames = stage["frames"] or ""
    return f"{name:16} {stage['busy']:7.1f} s {waits} {frames:>7} {fps:>7}".rstrip()


def _stage(work: Work) -> dict[str, Any]:
    return {
        "busy": round(work.busy, 3),
        "idle": round(work.for_input, 3),
        "blocked": round(work.for_room, 3),
        "frames": work.frames,
        "fps": round(work.frames / work.busy, 2) if work.frames and work.busy else None,
    }


def _place(item: tuple[str, Work]) -> int:
    """Sort key: the order of processing."""
    name, order = item[0], [stage.value for stage in Stage]
    return order.index(name) if name in order else len(order)


def _execution(execution: Execution) -> dict[str, Any]:
    return {
        "backend": execution.backend,
        "precision": next(n for n, dtype in DTYPES.items() if dtype == execution.dtype),
        "device": str(execution.device),
        "threads": execution.threads,
    }


def _in_int8(session: Session) -> dict[str, Any]:
    """Part of the restorer's network -> what is known of its graph in 8-bit integers."""
    restorer = session.engine.restorer if restores(session.config) else None
    if not isinstance(restorer, Quantizable):
        return {}
    return {name: dataclasses.asdict(note) for name, note in restorer.in_int8.items()}


def report_beside(target: Path) -> Path:
    """The report of the job that writes the target."""
    return target.with_name(f"{name_beside(target)}.report.json")


def write_report(report: dict[str, Any], path: Path) -> None:
    """Writes JSON; the file appears under its name only when complete."""
    with part_file(path) as part:
        part.write_text(compact_json(report), "utf-8")
