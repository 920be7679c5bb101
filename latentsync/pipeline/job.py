"""One film from file to file: checks first, then the two passes, then the report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from latentsync.errors import ConfigError
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.writer import EncodeSettings, VideoWriter, check_target
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.report import job_report, write_report
from latentsync.pipeline.stages import side_by_side
from latentsync.schema import Config

logger = logging.getLogger(__name__)


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
    """A checked job: what is read, what is written, how."""

    config: Config
    source: VideoInfo
    target: Path
    settings: EncodeSettings

    @property
    def report_path(self) -> Path:
        return self.target.with_suffix(".json")


def prepare(config: Config) -> Job:
    """Checks everything that can be checked without work. Raises ConfigError or MediaError."""
    if config.input.video is None:
        raise ConfigError("input.video", "not given", "pass --input VIDEO")
    if config.output.path is None:
        raise ConfigError("output.path", "not given", "pass --output VIDEO")
    source = probe(config.input.video)
    target = Path(config.output.path)
    output = config.output
    settings = EncodeSettings(
        output.codec, output.crf, output.preset, output.pix_fmt, finer=output.finer_mouth
    )
    check_target(target, source, settings)
    return Job(config, source, target, settings)


def enhance(job: Job, engine: Engine, progress: Progress = unwatched) -> dict[str, Any]:
    """Reads the film twice, writes it once, and the report beside it. Returns the report.

    Raises FaceNotFoundError when there is no face in the whole film, MediaError when the film
    cannot be read or written. Whatever is raised, nothing new is left under the target's name.
    """
    begin = time.perf_counter()
    reader = VideoReader(job.source.path)
    with progress("finding faces", job.source.frame_count) as step:
        survey = engine.survey(reader, step)
    plan = engine.plan(survey)
    warnings = _say_what_was_found(job, reader, plan)
    with progress("restoring", len(survey)) as step:
        _write(job, engine, reader, plan, step)
    report = job_report(
        job.config,
        plan,
        engine.restorer,
        media=_media_facts(job),
        seconds={**engine.clock.seconds, "total": time.perf_counter() - begin},
        warnings=warnings,
    )
    if job.config.output.report:
        write_report(report, job.report_path)
    return report


def _write(
    job: Job, engine: Engine, reader: VideoReader, plan: FilmPlan, step: Callable[[], None]
) -> None:
    compare = job.config.output.compare
    size = (job.source.width * 2, job.source.height) if compare else None
    with VideoWriter(job.target, job.source, job.settings, size=size) as writer:
        for item in engine.enhanced(reader, plan):
            frame = side_by_side(item.before, item.after) if compare else item.after
            with engine.clock.stage("encode"):
                writer.write(frame, finer=None if compare else item.changed)
            step()


def _say_what_was_found(job: Job, reader: VideoReader, plan: FilmPlan) -> list[str]:
    warnings = []
    if reader.damage:
        warnings.append(f"{job.source.path}: {reader.damage}")
    if job.source.dropped:
        warnings.append(f"not carried over: {', '.join(job.source.dropped)}")
    faceless = sum(a is None for a in plan.survey.alignments)
    if faceless:
        warnings.append(f"{faceless} of {len(plan.survey)} frames without a face stay as they are")
    if not plan.weights.any():
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
        },
        "output": {
            "path": str(job.target),
            "codec": job.settings.codec,
            "crf": job.settings.crf,
            "preset": job.settings.preset,
            "pix_fmt": job.settings.pix_fmt,
        },
    }
