"""The work of the inference command on a video: render it, write previews, or print an estimate.

Weights and models are loaded once, for any number of videos.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from latentsync.commands.consent import Consent
from latentsync.commands.console import use_threads
from latentsync.commands.dry_run import summary, without_analysis
from latentsync.commands.judging import Evaluations, say_judged
from latentsync.commands.progress import byte_bar, progress_bar
from latentsync.commands.to_evaluate import wanted_of
from latentsync.estimate.estimate import estimate
from latentsync.evaluate.job import judge_finished, render_and_judge
from latentsync.evaluate.judge import Case, Judgement
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine, execution_of
from latentsync.pipeline.findings import plan_warnings
from latentsync.pipeline.job import Job, fetch_weights
from latentsync.pipeline.planning.checks import in_percent
from latentsync.pipeline.preview import write_previews
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.report import stage_table
from latentsync.pipeline.requirements import (
    ensure_face_models,
    face_models,
    missing_weights,
    runs_networks,
)
from latentsync.pipeline.segments.render import render_resumable
from latentsync.pipeline.session import Session
from latentsync.pipeline.speakers import People
from latentsync.restoration.base import weights_wanted
from latentsync.runtime.execution import torch_threads
from latentsync.settings.schema import Config
from latentsync.weights.ensure import no_byte_progress

Work = Callable[[Job, Progress], None]
"""Processes one video, and prints the results on stdout."""


def prepare_work(
    options: argparse.Namespace, job: Job, evaluations: Evaluations | None = None
) -> Work:
    """Returns the work selected by the flags, with weights downloaded and models loaded.

    job: the first of the jobs; all differ in their files only. evaluations: keeps those that are
    made (output.evaluate).
    """
    if options.dry_run:
        return _estimating(job)
    consent = Consent(options, job.config)
    fetch_weights(job, no_byte_progress if options.quiet else byte_bar, consent)
    engine = _engine(job.config, speech=job.audio is not None)
    if options.preview is not None:
        return lambda job, progress: _preview(engine, job, options.preview, progress)
    kept = evaluations or Evaluations()
    return lambda job, progress: _process(engine, job, progress, options, kept)


def progress_of(options: argparse.Namespace) -> Progress:
    return no_progress if options.quiet else progress_bar


def _process(
    engine: Engine,
    job: Job,
    progress: Progress,
    options: argparse.Namespace,
    evaluations: Evaluations,
) -> None:
    wanted = None
    if job.config.output.evaluate and job.output.picture is None:
        wanted = wanted_of(job.output.target, html=options.html)
    if wanted is None:
        report = _rendered(engine, job, progress, options)
    else:
        report, case, found = _rendered_and_judged(engine, job, progress, options)
        evaluations.write(wanted, case, found, found.evaluation)
    if not options.quiet:
        print(stage_table(report), file=sys.stderr)
        if job.output.comparison is not None:
            print(f"{job.output.comparison.target}: before | after, side by side")
        if job.config.output.report:
            print(f"{job.output.report_path}: what was done to which frame, and why")
        if wanted is not None:
            say_judged(wanted, evaluations.done[-1])
    if job.output.picture is not None:
        print(f"{job.output.target}: {_faces(report)}")
        return
    frames = report["frames"]
    each = [frames, *(one["frames"] for one in report["other_speakers"])]
    generated = " and ".join(str(one["generated"]) for one in each)
    restored = " and ".join(str(one["restored"]) for one in each)
    spoken = f"{generated} frames generated, " if job.audio else ""
    counted = f"{restored} of {frames['total']} frames restored"
    if report["output"]["video"] == "copied":
        counted += ", the video stream copied unchanged"
    stretch = (report["length"] or {}).get("stretch", 1)
    if stretch != 1:
        counted += f", the video made {in_percent(stretch)}"
    gain = f"; {report['gain']}" if frames["restored"] else ""
    print(f"{job.output.target}: {spoken}{counted}{gain}")


def _rendered(
    engine: Engine, job: Job, progress: Progress, options: argparse.Namespace
) -> dict[str, Any]:
    if options.resume:
        return render_resumable(engine, job, progress, command=options.line)
    with Session(engine, job.source, audio=job.audio, config=job.config) as session:
        return session.render(job.output, progress, command=options.line)


def _rendered_and_judged(
    engine: Engine, job: Job, progress: Progress, options: argparse.Namespace
) -> tuple[dict[str, Any], Case, Judgement]:
    """What is rendered in segments is judged when it is complete: some were made before."""
    if options.resume:
        report = _rendered(engine, job, progress, options)
        return judge_finished(job.config, job.output, report, progress, command=options.line)
    with Session(engine, job.source, audio=job.audio, config=job.config) as session:
        return render_and_judge(session, job.output, progress, command=options.line)


def _faces(report: dict[str, Any]) -> str:
    """What was done to a picture, in words."""
    faces = [report, *report["other_speakers"]]
    restored = sum(one["frames"]["restored"] for one in faces)
    if report["output"]["video"] == "copied":
        return f"0 of {len(faces)} faces restored, the picture copied unchanged"
    gain = f"; {report['gain']}" if restored and len(faces) == 1 else ""
    return f"{restored} of {len(faces)} faces restored{gain}"


def _preview(engine: Engine, job: Job, count: int, progress: Progress) -> None:
    with Session(engine, job.source, audio=job.audio, config=job.config) as session:
        plan_warnings(session, session.make_plan(progress))
        for path in write_previews(session, count, job.output.target):
            print(path)


def people_of_video(config: Config, progress: Progress) -> tuple[People, float]:
    """The people of the configured video, and its length in seconds.

    Raises FaceNotFoundError, MediaError, and CheckpointError for missing weights.
    """
    info = probe(str(config.input.video))
    config = replace(
        config,
        input=replace(config.input, audio=None),
        restore=replace(config.restore, name="none"),
        speakers=[],
    )
    ensure_face_models(config)
    with Session(Engine(config), info) as session:
        seconds = session.observe(progress).pts_seconds
        session.people.speaking  # noqa: B018  it is kept
        return session.people, float(seconds[-1] + 1 / info.average_rate)


def _estimating(job: Job) -> Work:
    config = job.config
    missing = missing_weights(config, speech=job.audio is not None)
    if necessary := [model for model in face_models(config) if model in missing]:
        return lambda job, _progress: print(without_analysis(job, missing, necessary))
    here = not any(model in missing for model, _ in weights_wanted(config.restore))
    loaded = config if here else replace(config, restore=replace(config.restore, name="none"))
    engine = _engine(loaded, speech=job.audio is not None, estimate=True)
    return lambda job, _progress: print(summary(job, estimate(job, engine), missing))


def _engine(config: Config, *, speech: bool, estimate: bool = False) -> Engine:
    """Loads the models, and sets the process's threads for them.

    speech: whether mouths are generated. estimate: generators are not loaded, as their weights
    may be missing.
    """
    engine = Engine(config)
    networks = runs_networks(config, speech=speech)
    if not speech:
        execution = engine.execution
    elif estimate:
        execution = execution_of(config.runtime, networks=networks)
    else:
        execution = engine.lipsync.execution
    use_threads(torch_threads(execution, networks=networks))
    return engine
