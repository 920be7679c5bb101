"""What an evaluation says of the job that made the result: from its report, see docs/report.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]

_COUNTED = ("generated", "restored", "reused", "uncertain")
_SKIPPED = ("without_face", "turned_away")
"""Spans of frames that the job could not work on."""


def frame_counts(report: Report | None, fps: float) -> dict[str, int]:
    """Numbers of output frames; empty without a report. fps: of the result."""
    if report is None:
        return {}
    spans, frames = report["spans_seconds"], report["frames"]
    count = {name: int(frames[name]) for name in _COUNTED if name in frames}
    count["skipped"] = sum(_frames_in(spans.get(name, ()), fps) for name in _SKIPPED)
    count["occluded"] = _frames_in(spans.get("occluded", ()), fps)
    return count


def skipped_spans(spans: Mapping[str, Sequence[Sequence[float]]]) -> list[Sequence[float]]:
    """Of spans_seconds: those that the job could not work on, in order."""
    return sorted((span for name in _SKIPPED for span in spans.get(name, ())), key=tuple)


def job_facts(report: Report | None) -> dict[str, Any] | None:
    """Who made the pixels, under which licences, with which settings, and how long it took."""
    if report is None:
        return None
    models = [report.get("restorer"), report.get("generator")]
    return {
        "restorer": models[0] and models[0]["name"],
        "generator": models[1] and models[1]["name"],
        "licences": {one["name"]: one.get("licence") for one in models if one},
        "settings": report["settings"],
        "provenance": report["provenance"],
        "stages": report["stages"],
        "seconds": report["seconds"]["total"],
        "version": report["version"],
        "created": report["created"],
    }


def _frames_in(spans: Sequence[Sequence[float]], fps: float) -> int:
    """spans: [first, last] frame times."""
    return sum(round((last - first) * fps) + 1 for first, last in spans)
