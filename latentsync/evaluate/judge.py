"""Judges a finished video: looks at its frames beside those of its source, and measures them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.evaluate.comparison import compare, with_comparison
from latentsync.evaluate.evaluation import evaluation
from latentsync.evaluate.facts import Judged, VideoFacts
from latentsync.evaluate.heard import HeardAudio, heard_with
from latentsync.evaluate.measuring import Inputs, measures_for
from latentsync.evaluate.needs import NO_JOB, NO_SOURCE, NO_SPEECH, Lacking, reasons
from latentsync.evaluate.pairs_of_files import PairsOfFiles
from latentsync.evaluate.shots import Moment
from latentsync.evaluate.statistics import Measured
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be judged. source: None: not known. audio: what the lips are to follow; None: the
    result's own. report: of the job that made it; None: not known."""

    result: Path
    source: Path | None = None
    audio: Path | None = None
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """evaluation: see evaluation.py. measured: what its figures are computed from. moments: of
    which there may be pictures, see shots.py."""

    evaluation: dict[str, Any]
    measured: list[Measured]
    moments: list[Moment]


def judge(
    engine: Engine, case: Case, *, progress: Progress = no_progress, command: str | None = None
) -> Judgement:
    """engine: see pairs_of_files.evaluation_engine. Raises MediaError, FaceNotFoundError,
    ConfigError and CheckpointError."""
    result = probe(case.result)
    heard = heard_with(result, case.audio)
    pairs = PairsOfFiles(engine, result, case.source, report=case.report, progress=progress)
    own = None if pairs.source is None else _heard_as_filmed(pairs.source, case.report)
    measures, lacking = measures_for(Inputs(engine.config, heard, own))
    for pair in pairs:
        for measure in measures:
            measure.add(pair)
    measured = [one for measure in measures for one in measure.results()]
    facts = Judged(
        result=facts_of(result, frames=pairs.total),
        source=None if pairs.source is None else facts_of(pairs.source),
        audio=None if heard is None else heard.path,
        measured=pairs.measured,
        cuts_seconds=pairs.cuts_seconds,
    )
    without = pairs.without_source or (None if case.source else NO_SOURCE)
    found = evaluation(
        measured,
        facts,
        not_measured=reasons(_lacking(without, heard) | lacking),
        report=case.report,
        command=command,
    )
    return Judgement(found, measured, pairs.moments)


def _heard_as_filmed(source: VideoInfo, report: Mapping[str, Any] | None) -> HeardAudio | None:
    """The source's own audio, where its frames are shown when they were filmed."""
    order = None if report is None else report["per_frame"].get("source")
    as_filmed = order is None or all(place == index for index, place in enumerate(order))
    return heard_with(source) if as_filmed else None


def compared(one: Judgement, other: Judgement, names: tuple[str, str]) -> dict[str, Any]:
    """The evaluation of one with what the other result of the same source differs by."""
    found = compare(one.measured, other.measured)
    return with_comparison(one.evaluation, other.evaluation, found, names)


def _lacking(without_source: str | None, heard: HeardAudio | None) -> Lacking:
    lacking: dict[Any, str] = {"job": NO_JOB}
    if without_source is not None:
        lacking["source"] = without_source
    if heard is None:
        lacking["speech"] = NO_SPEECH
    return lacking


def facts_of(info: VideoInfo, *, frames: int | None = None) -> VideoFacts:
    """frames: as counted; None: as the file states."""
    rate = float(info.average_rate)
    count = info.frame_count if frames is None else frames
    seconds = info.duration_seconds or count / rate
    return VideoFacts(info.path, info.width, info.height, rate, seconds, count)
