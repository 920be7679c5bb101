"""The report's figures of single frames: detections, decisions, changes, and the worst frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.gate import MouthState, runs
from latentsync.restoration.mouth_blur import TrackBlur
from latentsync.restoration.warping_error import Flicker

_WORDS = {mouth: None if mouth == MouthState.NONE else mouth.name.lower() for mouth in MouthState}
"""By gate.MouthState, how the report calls it."""
WORST = 10
"""Number of frames listed in each part of ``worst_frames``."""


def plan_report(plan: RenderPlan, outcome: Outcome, reused: int) -> dict[str, Any]:
    """Faces, decisions and changes: per output frame and as spans in seconds.

    outcome: what changed. reused: number of frames that reuse an earlier frame's restoration.
    """
    analysis, seconds = plan.analysis, plan.seconds
    has_face, changed = plan.track >= 0, outcome.largest > 0
    return {
        "frames": {
            "total": len(plan),
            "with_face": int(has_face.sum()),
            "generated": int(outcome.generated.sum()),
            "selected": int((plan.strength > 0).sum()),
            "restored": int(changed.sum()),
            "reused": reused,
            "uncertain": int((plan.mouth_state == MouthState.UNCERTAIN).sum()),
        },
        "spans_seconds": {
            "without_face": _seconds(seconds, ~has_face),
            "restored": _seconds(seconds, changed),
            "generated": _seconds(seconds, outcome.generated),
            "face_left_alone": _seconds(seconds, has_face & ~changed & ~outcome.generated),
            "uncertain": _seconds(seconds, plan.mouth_state == MouthState.UNCERTAIN),
            "occluded": _seconds(seconds, np.isin(plan.source, list(analysis.occluders))),
            "turned_away": _seconds(seconds, has_face & (plan.visible == 0)),
            "filmed_mouth": _seconds(seconds, (plan.chunk >= 0) & (plan.shown == 0)),
            "closed_mouth": _seconds(seconds, (plan.chunk >= 0) & (plan.closed > 0)),
        },
        "tracks": len(plan.tracks),
        "track_blur": {
            str(n): _blur(track.blur, outcome.lips(n)) for n, track in plan.tracks.items()
        },
        "cuts_seconds": [round(float(t), 3) for t in analysis.pts_seconds[analysis.cuts]],
        "per_frame": {
            "source": _sources(plan),
            "scale": _numbers(plan.scale, 3),
            "sharpness": _numbers(plan.sharpness, 3),
            "blur": _numbers(plan.blur, 3),
            "mouth": [_WORDS[mouth] for mouth in plan.mouth_state],
            "strength": _numbers(plan.strength, 3),
            "visible": _numbers(plan.visible, 3),
            "shown": _numbers(plan.shown, 3),
            "change": [int(change) for change in outcome.largest],
            "mean_change": _numbers(outcome.mean, 2),
        },
        "worst_frames": _worst_frames(plan, outcome.largest),
    }


def _sources(plan: RenderPlan) -> list[int] | None:
    """By output frame, the number of the source's frame behind it; None: the same number."""
    same = np.array_equal(plan.source, np.arange(len(plan)))
    return None if same else [int(index) for index in plan.source]


def flicker_report(flicker: Mapping[int, Flicker]) -> dict[str, Any]:
    """The warping error inside the mouth, of all tracks together and by track."""
    return {
        "flicker": _flicker(sum(flicker.values(), Flicker())),
        "track_flicker": {str(track): _flicker(one) for track, one in flicker.items()},
    }


def _flicker(flicker: Flicker) -> dict[str, float | None]:
    means = np.array([flicker.source, flicker.result]) / (flicker.pairs or np.nan)
    before, after, ratio, contrast = _numbers(
        np.array([*means, flicker.ratio, flicker.contrast_ratio]), 4
    )
    return {
        "pairs": flicker.pairs,
        "e_warp_input": before,
        "e_warp_output": after,
        "ratio": ratio,
        "contrast_ratio": contrast,
    }


def _blur(blur: TrackBlur, restored: float) -> dict[str, Any]:
    """restored: sigma of the lips' edges after restoration."""
    names = ("lips", "expected", "lost", "left", "restored")
    figures = (blur.lips, blur.expected, blur.lost, blur.left, restored)
    against = "own mouth" if blur.own else "face"
    return {**dict(zip(names, _numbers(np.array(figures), 2), strict=True)), "against": against}


def _worst_frames(plan: RenderPlan, restored: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """Output frames to check: the blurriest left unmodified, and those that changed most."""
    known = (plan.track >= 0) & ~np.isnan(plan.blur)
    alone, changed = np.flatnonzero(known & (restored == 0)), np.flatnonzero(restored > 0)
    blurriest = alone[np.argsort(-plan.blur[alone], kind="stable")[:WORST]]
    most = changed[np.argsort(-restored[changed], kind="stable")[:WORST]]
    return {
        "blurriest_left_alone": [
            {**_moment(plan, i), "blur": round(float(plan.blur[i]), 3)} for i in blurriest
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
