"""A look before the work: a few frames before and after, as the whole run would make them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from latentsync.errors import ConfigError
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.session import Session
from latentsync.pipeline.stages.composite import side_by_side


def write_previews(session: Session, count: int, target: Path) -> list[Path]:
    """Before | after PNGs of ``count`` output frames spread over the video, in TARGET_preview/.

    Raises ConfigError for a count below 1, and whatever Session.make_plan does. Returns the files.
    """
    if count < 1:
        raise ConfigError("--preview", count, "ask for 1 frame or more")
    plan = session.plan
    indices = sorted({int((i + 0.5) * len(plan) / count) for i in range(min(count, len(plan)))})
    shown = session.preview(indices)
    folder = target.with_name(f"{target.stem}_preview")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for one in shown:
        path = folder / f"{one.after.pts_seconds:09.3f}s_{state(plan, one.index)}.png"
        _write_png(path, side_by_side(one.before, one.after).pixels)
        paths.append(path)
    return paths


def state(plan: RenderPlan, index: int) -> str:
    """What the plan has for that output frame."""
    if plan.track[index] < 0:
        return "no_face"
    restored = plan.strength[index] > 0
    if plan.chunk[index] >= 0:
        return "generated_restored" if restored else "generated"
    return "restored" if restored else "left_alone"


def _write_png(path: Path, pixels: np.ndarray) -> None:
    """pixels: (H, W, 3) uint8 RGB. Through memory, as OpenCV cannot open every file name."""
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
