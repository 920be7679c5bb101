"""Estimates the time of a whole run: each stage is timed on a few frames, and multiplied."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from latentsync.errors import FaceNotFoundError
from latentsync.estimate.calibrate import generation_cost, is_converted
from latentsync.estimate.cost import Cost, Pass, of_one_more, timed
from latentsync.estimate.encoding import encoding_cost
from latentsync.generate.table import generator_kind
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import sample_frames
from latentsync.pipeline.dialogue import Dialogue
from latentsync.pipeline.engine import Engine, execution_of
from latentsync.pipeline.job import Job
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.planning.timeline import VideoTimeline, speech_timeline, video_timeline
from latentsync.pipeline.planning.upstream_timeline import UPSTREAM_FPS
from latentsync.pipeline.requirements import restores
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import Clip, source_of
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.restoration.base import Fittable
from latentsync.runtime.execution import Execution
from latentsync.settings.lengths import output_rate
from latentsync.settings.schema import Config
from latentsync.speech.windows import FEATURES_PER_SECOND, frame_count
from latentsync.types import Frame

SAMPLES = 8  # frames spread over the video, to count faces and restored mouths
ROW = 16  # consecutive frames, from the start of the video, that stages are timed on
FITTING = 8.0  # seconds, at most, that fitting Self takes


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """An estimate for the whole video, from a few frames.

    sampled, with_face, restored: numbers of frames; with new speech every frame with a face counts
    as restored, as its mouth is not generated yet. frames: of the output; 0: unknown. passes: one
    after the other. beginning: seconds before the first and between them. converts: whether
    the generator's networks have to be converted first; that takes a minute and is not included.
    untimed: whether the restorer is not included, as its weights are missing. people: most faces
    in one sampled frame.
    """

    sampled: int
    with_face: int
    restored: int
    frames: int
    passes: tuple[Pass, ...]
    beginning: float
    converts: bool = False
    untimed: bool = False
    people: int = 0

    @property
    def seconds(self) -> float:
        """Time of the whole job, without the start of the program. 0: unknown."""
        return self.beginning + sum(one.seconds for one in self.passes) if self.frames else 0.0


def estimate(job: Job, engine: Engine) -> Estimate:
    """Analyzes frames spread over the video, and times every stage on consecutive ones.

    engine: without a restorer (its weights are missing) that stage is not timed. Raises
    ConfigError: a generator whose time cannot be estimated; MediaError: speech without audio.
    """
    trial = _Trial(job, engine)
    seen = [plan for plan in trial.plans if plan is not None]
    restored = sum(plan.strength[0] > 0 for plan in seen) if job.audio is None else len(seen)
    analyzing = trial.decoding
    if seen:
        analyzing += of_one_more(trial.analyzed, trial.typical)
    cost = _again(trial.decoding) + encoding_cost(job, trial.row)
    if seen and engine.restorer is not None:
        cost += _restoring(trial) * (restored / len(trial.samples))
    length, generated = output_frames(job)
    execution = engine.execution if job.audio is None else _execution(engine)
    detection = Pass("detecting faces", _count(job.source), analyzing, _cores())
    passes = [detection]
    if job.audio is not None:
        if title := generator_kind(job.config).first_pass:
            passes.append(Pass(title, detection.frames, trial.decoding, _cores()))
        share = len(seen) / len(trial.samples) * generated
        cost += _generation(trial, execution) * share if seen else Cost()
    title = "restoring" if job.audio is None else "generating"
    passes += [*_reference(job, detection), Pass(title, length, cost, _cores())]
    fitting = FITTING if isinstance(engine.restorer, Fittable) else 0.0
    converts = _converts(job, execution)
    return Estimate(
        len(trial.samples),
        len(seen),
        restored,
        length,
        tuple(passes),
        fitting,
        converts=converts,
        untimed=engine.restorer is None and restores(job.config),
        people=max((int(plan.analysis.people.max()) for plan in seen), default=0),
    )


class _Trial:
    """Frames of the job's video, and sessions on them.

    samples: spread over the video; plans: of each as a video of one frame; None without a face.
    row: from the video's start. typical: consecutive frames with a face, if there is one.
    decoding: cost of a frame.
    """

    def __init__(self, job: Job, engine: Engine) -> None:
        self.job, self.engine = job, _without_fitting(engine)
        self._detector = engine.new_detector(engine.config.face)
        self.samples = list(_sampled(job.source))
        self.plans = [self.planned([frame]) for frame in self.samples]
        self.row, self.decoding = _decoded(job.source)
        self.typical = self._with_faces()

    @property
    def config(self) -> Config:
        """Without a reference, which each session would analyze as a whole, and without choosing a
        person, who may not be seen in every frame."""
        config = self.engine.config
        return replace(
            config,
            restore=replace(config.restore, reference=None),
            face=replace(config.face, speaker="largest"),
            speakers=[],
        )

    def session(self, frames: Sequence[Frame], **more: Any) -> Session:
        clip = Clip(self.job.source, [replace(frame, index=i) for i, frame in enumerate(frames)])
        more = {"config": self.config, **more}
        return Session(self.engine, clip, detector=self._detector, **more)

    def planned(self, frames: Sequence[Frame]) -> RenderPlan | None:
        """None without a face."""
        try:
            return self.session(frames).plan
        except FaceNotFoundError:
            return None

    def analyzed(self, frames: Sequence[Frame]) -> StageTimer:
        session = self.session(frames)
        session.analyze()
        return session.timer

    def _with_faces(self) -> list[Frame]:
        """The video's beginning, or else one frame repeated."""
        if self.row and self.planned(self.row[:1]) is not None:
            return self.row
        found = [f for f, plan in zip(self.samples, self.plans, strict=True) if plan is not None]
        return [replace(frame, pts=i) for i, frame in enumerate(found[:1] * ROW)] or self.row


def _sampled(source: VideoInfo) -> Iterable[Frame]:
    return sample_frames(source, SAMPLES) if source.picture is None else source_of(source)


def _without_fitting(engine: Engine) -> Engine:
    """The restorer is not fitted for a trial; Detail takes about as long."""
    if not isinstance(engine.restorer, Fittable):
        return engine
    restore = replace(engine.config.restore, name="Detail", reference=None)
    return Engine(replace(engine.config, restore=restore))


def _decoded(source: VideoInfo) -> tuple[list[Frame], Cost]:
    row: list[Frame] = []
    first = islice(source_of(source), ROW)
    cost = timed(Stage.DECODE.value, lambda: row.extend(first), min(ROW, source.frame_count or ROW))
    return row, cost


def _again(decoding: Cost) -> Cost:
    """Pass 2 decodes as pass 1 does."""
    return Cost({Stage.DECODE_AGAIN.value: decoding.stages[Stage.DECODE.value]}, decoding.cpu)


def _restoring(trial: _Trial) -> Cost:
    """Cost of one restored frame: crop, network and composite, without reuse."""
    config = trial.config
    # The row may be one frame repeated, which would be restored only once.
    config = replace(config, restore=replace(config.restore, reuse=0.0))

    def restored(frames: Sequence[Frame]) -> StageTimer:
        plan = trial.session(frames, config=config).plan
        session = trial.session(
            frames, config=config, plan=replace(plan, strength=np.ones_like(plan.strength))
        )
        for _ in session.rendered():
            pass
        return session.timer

    cost = of_one_more(restored, trial.typical)
    names = [stage.value for stage in (Stage.RESTORE, Stage.COMPOSITE)]
    return Cost({name: cost.stages[name] for name in names if name in cost.stages}, cost.cpu)


def _generation(trial: _Trial, execution: Execution) -> Cost:
    frames = trial.typical[:1]
    face = trial.session(frames).analyze().alignments[0]
    if face is None:
        return Cost()
    return generation_cost(trial.engine.config, execution, frames[0], face)


def _execution(engine: Engine) -> Execution:
    """The execution of the generator's networks, if it has any."""
    config = engine.config
    if not generator_kind(config).network:
        return engine.execution
    return execution_of(config.runtime, networks=True)


def _converts(job: Job, execution: Execution) -> bool:
    if job.audio is None:
        return False
    return not is_converted(generator_kind(job.config).graphs, execution)


def output_frames(job: Job) -> tuple[int, float]:
    """-> number of frames of the output, generated mouths for each of them with a face."""
    frames = _count(job.source)
    if job.audio is None or not frames:
        return frames, 1.0
    video, fps = _video_timeline_of(job.source, frames), output_rate(job.config.output.fps)
    length = job.config.length
    if isinstance(job.audio, Dialogue):
        still = job.source.picture is not None
        seconds = job.audio.seconds if still else frames / float(job.source.average_rate)
        line = speech_timeline(video, seconds, fps=fps, length=length)
        return len(line), _spoken_share(job.audio, seconds)
    if job.config.as_upstream:
        return frame_count(int(job.audio.end * FEATURES_PER_SECOND), UPSTREAM_FPS), 1.0
    line = speech_timeline(video, job.audio.end, fps=fps, length=length)
    before = int(np.searchsorted(line.seconds, job.audio.placed.start - 1e-9))
    return len(line), max(0, line.spoken - before) / len(line)


def _spoken_share(dialogue: Dialogue, seconds: float) -> float:
    """Generated mouths for each frame of a video of that length; above 1 where speeches overlap."""
    spoken = sum(max(0.0, min(one.end, seconds) - one.start) for _, one in dialogue.entries)
    return spoken / seconds


def _video_timeline_of(source: VideoInfo, frames: int) -> VideoTimeline:
    """A timeline at the video's average frame rate."""
    ticks = 1 / (source.average_rate * source.time_base)
    pts = np.round(np.arange(frames) * float(ticks)).astype(np.int64)
    return video_timeline(pts, source.time_base, source.average_rate)


def _count(source: VideoInfo) -> int:
    """Number of frames, from the file's header or else from its duration."""
    return source.frame_count or round(source.duration_seconds * float(source.average_rate))


def _reference(job: Job, detection: Pass) -> list[Pass]:
    """The pass over the original video that Self is fitted to."""
    path = job.config.restore.reference
    if path is None:
        return []
    return [replace(detection, title="analyzing the reference", frames=_count(probe(path)))]


def _cores() -> int:
    """The cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(usable(0)) if usable is not None else os.cpu_count() or 1
