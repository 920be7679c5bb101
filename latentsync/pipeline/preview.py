"""A look before the work: a few frames before and after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from latentsync.errors import ConfigError, FaceNotFoundError
from latentsync.media.sample import sample_frames
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import Job
from latentsync.pipeline.stages.composite import side_by_side
from latentsync.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One frame taken for itself. state: "restored", "left_alone" or "no_face"."""

    before: Frame
    after: Frame
    state: str


def try_frame(engine: Engine, frame: Frame) -> Trial:
    """Both passes over a film of this one frame."""
    frame = replace(frame, index=0)
    try:
        plan = engine.plan(engine.survey([frame]))
    except FaceNotFoundError:
        return Trial(frame, frame, "no_face")
    after = next(engine.enhanced([frame], plan)).after
    return Trial(frame, after, "restored" if plan.weights[0] > 0 else "left_alone")


def write_previews(job: Job, engine: Engine, count: int) -> list[Path]:
    """Before | after PNGs of ``count`` frames spread over the film, in TARGET_preview/.

    Raises ConfigError for a count below 1. Returns the files.
    """
    if count < 1:
        raise ConfigError("--preview", count, "ask for 1 frame or more")
    folder = job.target.with_name(f"{job.target.stem}_preview")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for frame in sample_frames(job.source.path, count):
        trial = try_frame(engine, frame)
        path = folder / f"{frame.pts_seconds:09.3f}s_{trial.state}.png"
        _write_png(path, side_by_side(trial.before, trial.after).pixels)
        paths.append(path)
    return paths


def _write_png(path: Path, pixels: np.ndarray) -> None:
    """pixels: (H, W, 3) uint8 RGB. Through memory, as OpenCV cannot open every file name."""
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
