"""What a whole film would cost: each stage is timed on a few frames, and multiplied."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from latentsync.errors import FaceNotFoundError
from latentsync.generate.settings import hears_whisper
from latentsync.media.audio import SAMPLE_RATE, AudioReader
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.sample import sample_frames
from latentsync.media.writer import Picture, VideoWriter
from latentsync.pipeline.calibrate import drawing_cost, is_converted
from latentsync.pipeline.cost import Cost, Pass, of_one_more, timed
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import Job
from latentsync.pipeline.lipsync import output_rate
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.threads import settle
from latentsync.pipeline.timeline import Timeline, film_timeline, speech_timeline
from latentsync.restore.base import Fittable
from latentsync.runtime.execution import Execution
from latentsync.types import Frame

SAMPLES = 8  # frames that are looked at, spread over the film
ROW = 16  # frames in a row, from the film's start, that stages are timed on
LEARNING = 8.0  # seconds, at most, that Self learns a person


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What a few frames say about the whole film.

    sampled, with_face, restored: numbers of frames; with new speech every frame with a face counts
    as restored, as its mouth is not drawn yet. frames: of the output; 0: not known. passes: one
    after the other. beginning: seconds before the first and between them. converts: whether
    LatentSync's networks are to be converted first, which takes a minute and is in none of these.
    """

    sampled: int
    with_face: int
    restored: int
    frames: int
    passes: tuple[Pass, ...]
    beginning: float
    converts: bool = False

    @property
    def seconds(self) -> float:
        """Of the whole job, without the start of the program. 0: not known."""
        return self.beginning + sum(one.seconds for one in self.passes) if self.frames else 0.0


def estimate(job: Job, engine: Engine) -> Estimate:
    """Tries frames spread over the film, and times every stage on some in a row.

    Raises ConfigError: a generator whose time cannot be told; MediaError: speech without sound.
    """
    samples = list(sample_frames(job.source.path, SAMPLES))
    plans = [_plan(engine, frame) for frame in samples]
    seen = [plan for plan in plans if plan is not None]
    restored = sum(plan.weights[0] > 0 for plan in seen) if job.audio is None else len(seen)
    row, decoding = _decoded(job.source)
    typical = _with_faces(engine, row, samples, plans)
    watching = decoding + of_one_more(engine.survey, typical, engine.clock) if seen else decoding
    cost = _again(decoding) + _encoding(job, row)
    if seen and engine.restorer is not None:
        cost += _restoring(engine, typical) * (restored / len(samples))
    length, drawn = _output(job)
    execution = engine.execution if job.audio is None else _execution(engine)
    looking = Pass("finding faces", _count(job.source), watching, _cores())
    passes = [looking]
    if job.audio is not None:
        if not hears_whisper(job.config):
            passes.append(Pass("choosing mouths", looking.frames, decoding, _cores()))
        cost += (
            _drawing(engine, execution, typical) * (len(seen) / len(samples) * drawn)
            if seen
            else Cost()
        )
    title = "restoring" if job.audio is None else "speaking"
    passes += [*_reference(job, looking), Pass(title, length, cost, _cores())]
    learning = LEARNING if isinstance(engine.restorer, Fittable) else 0.0
    converts = _converts(job, execution)
    return Estimate(
        len(samples), len(seen), restored, length, tuple(passes), learning, converts=converts
    )


def _plan(engine: Engine, frame: Frame) -> FilmPlan | None:
    """Of a film of this one frame; None without a face."""
    try:
        return engine.plan(engine.survey([replace(frame, index=0)]))
    except FaceNotFoundError:
        return None


def _with_faces(
    engine: Engine, row: list[Frame], samples: Sequence[Frame], plans: Sequence[FilmPlan | None]
) -> list[Frame]:
    """A row in which there is a face: the film's beginning, or else one frame again and again."""
    if row and _plan(engine, row[0]) is not None:
        return row
    found = [frame for frame, plan in zip(samples, plans, strict=True) if plan is not None]
    return [replace(frame, index=i, pts=i) for i, frame in enumerate(found[:1] * ROW)] or row


def _decoded(source: VideoInfo) -> tuple[list[Frame], Cost]:
    row: list[Frame] = []
    first = islice(VideoReader(source.path), ROW)
    cost = timed("decode", lambda: row.extend(first), min(ROW, source.frame_count or ROW))
    return row, cost


def _again(decoding: Cost) -> Cost:
    """Pass 2 decodes as pass 1 does."""
    return Cost({"decode again": decoding.stages["decode"]}, decoding.cpu)


def _restoring(engine: Engine, row: Sequence[Frame]) -> Cost:
    """Of one frame that is restored: crop, network and composite; as if none were spared."""
    if isinstance(engine.restorer, Fittable):  # it has learnt nothing; Detail works much like it
        config = engine.config
        known = replace(config.restore, name="Detail", reference=None)
        engine = Engine(replace(config, restore=known))
    engine = copy(engine)  # a row may be one frame again and again, whose restoration would serve
    engine.config = replace(engine.config, restore=replace(engine.config.restore, reuse=0.0))
    plan = engine.plan(engine.survey(row))
    plan = replace(plan, weights=np.ones_like(plan.weights))

    def restore(frames: Sequence[Frame]) -> None:
        for _ in engine.enhanced(frames, plan):
            pass

    cost = of_one_more(restore, row, engine.clock)
    wanted = {name: cost.stages[name] for name in ("restore", "composite") if name in cost.stages}
    return Cost(wanted, cost.cpu)


def _drawing(engine: Engine, execution: Execution, row: Sequence[Frame]) -> Cost:
    plan = engine.plan(engine.survey(row[:1]))
    face = plan.alignment(0)
    assert face is not None, "the row was chosen for its faces"
    return drawing_cost(engine.config, execution, row[0], face)


def _execution(engine: Engine) -> Execution:
    """That of the networks that draw; replay has none."""
    config = engine.config
    return settle(config.runtime, networks=True) if hears_whisper(config) else engine.execution


def _converts(job: Job, execution: Execution) -> bool:
    draws = job.audio is not None and job.config.generate.name.lower() == "latentsync"
    return draws and not is_converted(execution)


def _encoding(job: Job, frames: Sequence[Frame]) -> Cost:
    """Into a folder that is thrown away."""
    pictures: list[Picture] = []
    count = max(len(frames), 1)
    with TemporaryDirectory() as folder, ExitStack() as file:
        target = Path(folder) / f"trial{job.target.suffix}"
        silent = replace(job.source, audio=())
        writer = file.enter_context(VideoWriter(target, silent, job.settings))

        def convert() -> None:
            pictures.extend(writer.picture(frame) for frame in frames)

        def encode() -> None:
            for picture in pictures:
                writer.write_picture(picture)
            file.close()  # until then the encoder holds most of them

        return timed("convert", convert, count) + timed("encode", encode, count)


def _output(job: Job) -> tuple[int, float]:
    """-> number of frames of the output, share of them during which there is speech."""
    frames = _count(job.source)
    if job.audio is None or not frames:
        return frames, 1.0
    samples = sum(len(block) for block in AudioReader(job.audio.path))
    output = job.config.output
    line = speech_timeline(
        _film_line(job.source, frames),
        samples / SAMPLE_RATE,
        fps=output_rate(output.fps),
        length=output.length,
        extend=output.extend,
    )
    return len(line), min(1.0, line.spoken / len(line))


def _film_line(source: VideoInfo, frames: int) -> Timeline:
    """As if every frame were shown as long as the others."""
    ticks = 1 / (source.average_rate * source.time_base)
    pts = np.round(np.arange(frames) * float(ticks)).astype(np.int64)
    return film_timeline(pts, source.time_base, source.average_rate)


def _count(source: VideoInfo) -> int:
    """Frames, as the file has it, or else as its length comes to."""
    return source.frame_count or round(source.duration_seconds * float(source.average_rate))


def _reference(job: Job, looking: Pass) -> list[Pass]:
    """The pass over the original film that Self learns from."""
    path = job.config.restore.reference
    if path is None:
        return []
    return [replace(looking, title="watching the reference", frames=_count(probe(path)))]


def _cores() -> int:
    """Those that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(usable(0)) if usable is not None else os.cpu_count() or 1
