"""One film from file to file: checks first, then the two passes, then the report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from latentsync.errors import ConfigError
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.target import EncodeSettings, NewAudio, check_target
from latentsync.media.writer import Picture, VideoWriter
from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.engine import NEEDS_REFERENCE, Engine, Enhanced, ordered
from latentsync.pipeline.lipsync import Performance, output_rate
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.report import job_report, write_report
from latentsync.pipeline.requirements import licences_wanted, weights_wanted
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.composite import side_by_side
from latentsync.pipeline.teacher import Teacher
from latentsync.schema import Config
from latentsync.types import Frame
from latentsync.weights import licences
from latentsync.weights.download import Progress as Bytes
from latentsync.weights.obtain import obtain, unwatched_bytes

logger = logging.getLogger(__name__)

WRITE_BEHIND = 2  # finished frames that may wait, twice: to be converted, and to be encoded


class Progress(Protocol):
    """Shown to whoever waits."""

    def __call__(self, title: str, total: int, /) -> AbstractContextManager[Callable[[], None]]:
        """A pass over ``total`` frames (0: not known); what it gives is called after each frame."""
        ...


@contextmanager
def unwatched(_title: str, _total: int) -> Iterator[Callable[[], None]]:
    """Progress that nobody sees."""
    yield lambda: None


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A checked job: what is read, what is written, how. audio: the new speech, if any."""

    config: Config
    source: VideoInfo
    target: Path
    settings: EncodeSettings
    audio: NewAudio | None

    @property
    def report_path(self) -> Path:
        return self.target.with_suffix(".json")


def prepare(config: Config, fetching: Bytes = unwatched_bytes) -> Job:
    """Checks what can be checked without work, then fetches the weights that are missing.

    fetching: shows the progress of that. Raises ConfigError (licences included), MediaError, and
    CheckpointError naming every weights file that is missing and cannot be had.
    """
    if config.input.video is None:
        raise ConfigError("input.video", "not given", "pass --input VIDEO")
    if config.output.path is None:
        raise ConfigError("output.path", "not given", "pass --output VIDEO")
    _check_purpose(config)
    output_rate(config.output.fps)
    source = probe(config.input.video)
    target = Path(config.output.path)
    output = config.output
    settings = EncodeSettings(
        output.codec, output.crf, output.preset, output.pix_fmt, finer=output.finer_mouth
    )
    audio = None if config.input.audio is None else NewAudio(Path(config.input.audio))
    check_target(target, source, settings, audio)
    licences.require(licences_wanted(config))
    obtain(
        weights_wanted(config, speech=audio is not None),
        folders=config.weights.folders,
        offline=config.weights.offline,
        progress=fetching,
    )
    return Job(config, source, target, settings, audio)


def _check_purpose(config: Config) -> None:
    restore = config.restore
    if restore.reference is not None:
        probe(restore.reference)
    elif config.input.audio is None and restore.name.lower() == "self":
        raise ConfigError("restore.name", restore.name, NEEDS_REFERENCE)
    if config.input.audio is not None or (
        restore.name.lower() != "none" and restore.when != "never"
    ):
        return
    key = "restore.when" if restore.when == "never" else "restore.name"
    value = restore.when if restore.when == "never" else restore.name
    remedy = "without new speech (--audio_path) nothing else is to be done; choose a restorer"
    raise ConfigError(key, value, remedy)


def run_job(job: Job, engine: Engine, progress: Progress = unwatched) -> dict[str, Any]:
    """Reads the film twice, writes it once, and the report beside it. Returns the report.

    Raises FaceNotFoundError when there is no face in the whole film, MediaError when the film
    cannot be read or written. Whatever is raised, nothing new is left under the target's name.
    """
    begin = time.perf_counter()
    speech = None if job.audio is None else engine.lipsync.listen(job.audio.path)
    reader = VideoReader(job.source.path)
    with progress("finding faces", job.source.frame_count) as step:
        survey = engine.survey(reader, step)
    plan = engine.plan(survey)
    performance = None
    if speech is not None:
        plan = engine.lipsync.lay_out(plan, job.source, speech)
        performance = engine.perform(plan, job.source.path, speech)
    teacher = engine.teacher(plan, job.source.path, performance)
    warnings = _say_what_was_found(job, reader, plan)
    with progress("restoring" if speech is None else "speaking", len(plan)) as step:
        restored = _write(job, engine, ordered(reader, plan), plan, performance, teacher, step)
    report = job_report(
        job.config,
        plan,
        engine.restorer,
        None if performance is None else performance.generator,
        learnt={} if teacher is None else teacher.verdicts,
        restored=restored,
        reused=engine.reused,
        media=_media_facts(job),
        execution=engine.execution,
        work=engine.clock.work,
        seconds=time.perf_counter() - begin,
        warnings=warnings,
    )
    if job.config.output.report:
        write_report(report, job.report_path)
    return report


def _write(
    job: Job,
    engine: Engine,
    source: Iterable[Frame],
    plan: FilmPlan,
    performance: Performance | None,
    teacher: Teacher | None,
    step: Callable[[], None],
) -> np.ndarray:
    """(N,) float: share of the restoration in each frame that was written."""
    compare = job.config.output.compare
    size = (job.source.width * 2, job.source.height) if compare else None
    info, audio = job.source, job.audio
    if plan.timeline is not None and audio is not None:
        line = plan.timeline
        info = replace(info, average_rate=line.rate, time_base=line.time_base)
        audio = replace(audio, seconds=float(line.seconds[-1] + 1 / line.rate))
    clock, restored = engine.clock, []
    with VideoWriter(job.target, info, job.settings, size=size, audio=audio) as writer:
        enhanced = engine.enhanced(source, plan, performance, teacher)
        pictures = _pictures(enhanced, writer, clock, compare=compare)
        queue = linked(pictures, "convert", "encode", WRITE_BEHIND, clock=clock)
        with closing(queue):
            for picture, share in queue:
                with clock.stage("encode", frames=1):
                    writer.write_picture(picture)
                restored.append(share)
                step()
    return np.array(restored)


def _pictures(
    frames: Iterable[Enhanced], writer: VideoWriter, clock: StageTimer, *, compare: bool
) -> Iterator[tuple[Picture, float]]:
    """What is written of each frame, and the share of the restoration in it."""
    # Linked here, and held by nobody else, so that the stages before end when this does.
    for item in linked(frames, "composite", "convert", WRITE_BEHIND, clock=clock):
        with clock.stage("convert"):
            frame = side_by_side(item.before, item.after) if compare else item.after
            picture = writer.picture(frame, finer=None if compare else item.changed)
        yield picture, item.restored


def _say_what_was_found(job: Job, reader: VideoReader, plan: FilmPlan) -> list[str]:
    warnings = []
    if reader.damage:
        warnings.append(f"{job.source.path}: {reader.damage}")
    if job.source.dropped:
        warnings.append(f"not carried over: {', '.join(job.source.dropped)}")
    faceless = int((plan.survey.tracks < 0).sum())
    if faceless:
        warnings.append(f"{faceless} of {len(plan.survey)} frames without a face stay as they are")
    if job.audio is None and not plan.weights.any():
        warnings.append("no frame needs restoration; restore.when=always restores regardless")
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _media_facts(job: Job) -> dict[str, Any]:
    source = job.source
    return {
        "input": {
            "path": str(source.path),
            "codec": source.codec,
            "width": source.width,
            "height": source.height,
            "fps": float(source.average_rate),
            "audio": [audio.codec for audio in source.audio],
            "new_audio": None if job.audio is None else str(job.audio.path),
        },
        "output": {
            "path": str(job.target),
            "codec": job.settings.codec,
            "crf": job.settings.crf,
            "preset": job.settings.preset,
            "pix_fmt": job.settings.pix_fmt,
        },
    }
