"""A look before the work: a few frames before and after, and what the whole film would cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from latentsync.errors import ConfigError, FaceNotFoundError
from latentsync.media.reader import VideoReader
from latentsync.media.sample import sample_frames
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.compose import side_by_side
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import Job
from latentsync.types import Frame

SAMPLES = 8  # frames that an estimate looks at, spread over the film
TIMED_FRAMES = 24  # frames from the film's start that time the decoder


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


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What a few frames say about the whole film.

    sampled, with_face, restored: numbers of frames. seconds_per_frame: all stages added up, as if
    nothing overlapped.
    """

    sampled: int
    with_face: int
    restored: int
    seconds_per_frame: float


def estimate(job: Job, engine: Engine) -> Estimate:
    """Tries frames spread over the film, and times every stage on them."""
    frames = list(sample_frames(job.source.path, SAMPLES))
    try_frame(engine, frames[0])  # first calls are slow and say nothing of the rest
    begin = time.perf_counter()
    trials = [try_frame(engine, frame) for frame in frames]
    work = (time.perf_counter() - begin) / len(frames)
    encoding = _encoding_seconds(job, [trial.after for trial in trials])
    return Estimate(
        sampled=len(frames),
        with_face=sum(trial.state != "no_face" for trial in trials),
        restored=sum(trial.state == "restored" for trial in trials),
        seconds_per_frame=work + encoding + 2 * _decoding_seconds(job),
    )


def _decoding_seconds(job: Job) -> float:
    """Seconds per frame, from the film's first frames."""
    begin = time.perf_counter()
    count = sum(1 for _ in islice(VideoReader(job.source.path), TIMED_FRAMES))
    return (time.perf_counter() - begin) / max(count, 1)


def _encoding_seconds(job: Job, frames: Sequence[Frame]) -> float:
    """Seconds per frame to encode these frames, into a folder that is thrown away."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / f"trial{job.target.suffix}"
        begin = time.perf_counter()
        with VideoWriter(target, replace(job.source, audio=()), job.settings) as writer:
            for frame in frames:
                writer.write(frame)
        return (time.perf_counter() - begin) / len(frames)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    """pixels: (H, W, 3) uint8 RGB. Through memory, as OpenCV cannot open every file name."""
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
