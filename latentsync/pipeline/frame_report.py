"""The report's figures of single frames: what was seen, decided and done, and which are worst."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.gate import runs

WORST = 10
"""Frames that are listed in each part of ``worst_frames``."""


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
        "worst_frames": _worst_frames(plan, restored),
    }


def _worst_frames(plan: RenderPlan, restored: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """Output frames worth a look: the blurriest that stayed as they were, and those that changed
    most."""
    known = (plan.track >= 0) & ~np.isnan(plan.sharpness)
    alone, changed = np.flatnonzero(known & (restored == 0)), np.flatnonzero(restored > 0)
    blurriest = alone[np.argsort(plan.sharpness[alone], kind="stable")[:WORST]]
    most = changed[np.argsort(-restored[changed], kind="stable")[:WORST]]
    return {
        "blurriest_left_alone": [
            {**_moment(plan, i), "sharpness": round(float(plan.sharpness[i]), 3)} for i in blurriest
        ],
        "most_changed": [{**_moment(plan, i), "change": int(restored[i])} for i in most],
    }


def _moment(plan: RenderPlan, index: int) -> dict[str, Any]:
    return {"frame": int(index), "seconds": round(float(plan.seconds[index]), 3)}


def _seconds(pts_seconds: np.ndarray, flags: np.ndarray) -> list[list[float]]:
    """Runs of True as [first, last] frame times."""
    return [
        [round(float(pts_seconds[a]), 3), round(float(pts_seconds[b - 1]), 3)]
        for a, b in runs(flags)
    ]


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), digits) for v in values]
