"""Judges a finished video: looks at its frames beside those of its source, and measures them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentsync.evaluate.comparison import compare, with_comparison
from latentsync.evaluate.evaluation import evaluation
from latentsync.evaluate.facts import Judged, VideoFacts
from latentsync.evaluate.heard import HeardAudio, heard_with
from latentsync.evaluate.measures.outside import ENCODED, Outside
from latentsync.evaluate.measuring import Inputs, measures_for
from latentsync.evaluate.needs import NO_JOB, NO_SOURCE, NO_SPEECH, Lacking, reasons
from latentsync.evaluate.networks import Judges, load_judges
from latentsync.evaluate.pair import Measure
from latentsync.evaluate.pairing import job_report
from latentsync.evaluate.pairs_of_files import PairsOfFiles, chosen_speaker
from latentsync.evaluate.shots import Moment
from latentsync.evaluate.statistics import Measured
from latentsync.evaluate.sync.faces_seen import faces_seen
from latentsync.evaluate.sync.measure import SyncMeasured, measure_sync
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)

SAME_RATE = 0.01
"""Share by which the frame rates of a result and its source may differ: 29.97 and 30 do not."""
BY_FRAME = ("jitter_over_source", "jitter_added", "warping_error", "akd", "akd_px", "akd_face")
"""Figures that compare the motion from frame to frame, or the landmarks of single frames."""
OTHER_RATE = "the frame rate is not the source's: the frames do not show the same moments"
SEVERAL_MOUTHS = "the job changed several mouths, and only the first one is looked at"


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
    moments: list[Moment] = field(default_factory=list)


def judge(
    engine: Engine,
    case: Case,
    *,
    judges: Judges | None = None,
    progress: Progress = no_progress,
    command: str | None = None,
) -> Judgement:
    """engine: see pairs_of_files.evaluation_engine. judges: None: loaded here.

    Raises MediaError, FaceNotFoundError, ConfigError and CheckpointError.
    """
    judges = judges or load_judges(engine.config)
    result = probe(case.result)
    heard = heard_with(result, case.audio)
    pairs = PairsOfFiles(engine, result, case.source, report=case.report, progress=progress)
    order = None if case.report is None else case.report["per_frame"].get("source")
    own = None if pairs.source is None else heard_as_filmed(pairs.source, order)
    generated = None if case.report is None else case.report.get("generator") is not None
    measures, lacking = measures_for(Inputs(engine.config, heard, own, judges, generated))
    measures, unknown = without_other_mouths(measures, case.report)
    for pair in pairs:
        for measure in measures:
            measure.add(pair)
    measured = [one for measure in measures for one in measure.results()]
    sync = SyncMeasured()
    if heard is not None and "speech" not in lacking:
        config = chosen_speaker(engine.config, case.report)
        sync = _sync(engine, result, heard, judges, config=config, progress=progress)
    facts = Judged(
        result=facts_of(result, frames=pairs.total),
        source=None if pairs.source is None else facts_of(pairs.source),
        audio=None if heard is None else heard.path,
        measured=pairs.measured,
        cuts_seconds=pairs.cuts_seconds,
    )
    if case.report is None and pairs.source is not None:
        rates = float(result.average_rate), float(pairs.source.average_rate)
        measured, at_other_moments = at_same_moments(measured, *rates)
        unknown |= at_other_moments
    without = pairs.without_source or (None if case.source else NO_SOURCE)
    not_there: Lacking = {"job": NO_JOB, **lacking_of(without, heard), **lacking}
    measured += sync.measured
    found = evaluation(
        measured,
        facts,
        not_measured=reasons(not_there) | sync.not_measured | unknown,
        report=case.report,
        command=command,
    )
    return Judgement(found, measured, pairs.moments)


def _sync(
    engine: Engine,
    result: VideoInfo,
    heard: HeardAudio,
    judges: Judges,
    *,
    config: Config,
    progress: Progress,
) -> SyncMeasured:
    """Looks at every frame once more; nothing where there is no network."""
    if judges.sync.syncnet is None and judges.sync.stable is None:
        return SyncMeasured()
    faces = faces_seen(engine, result, config=config, progress=progress)
    return measure_sync(faces, heard, judges.sync, progress=progress)


def at_same_moments(
    measured: Sequence[Measured], result_rate: float, source_rate: float
) -> tuple[list[Measured], dict[str, str]]:
    """Without the figures BY_FRAME where the frame rates differ; and why they are not measured."""
    if abs(result_rate / source_rate - 1) <= SAME_RATE:
        return list(measured), {}
    kept = [one for one in measured if one.name not in BY_FRAME]
    return kept, dict.fromkeys(BY_FRAME, OTHER_RATE)


def without_other_mouths(
    measures: Sequence[Measure], report: Mapping[str, Any] | None
) -> tuple[list[Measure], dict[str, str]]:
    """The measures, without that of what lies outside the speaker's mouth where the job changed
    other people's mouths too; and what is not measured for that reason."""
    if not (report or {}).get("other_speakers"):
        return list(measures), {}
    return [one for one in measures if not isinstance(one, Outside)], {ENCODED: SEVERAL_MOUTHS}


def heard_as_filmed(source: VideoInfo, order: Iterable[int] | None) -> HeardAudio | None:
    """The source's own audio, where its frames are shown when they were filmed.

    order: the source's frame by frame of the result; None: the one of the same number.
    """
    as_filmed = order is None or all(place == index for index, place in enumerate(order))
    return heard_with(source) if as_filmed else None


def case_of(
    result: Path,
    source: Path | None = None,
    audio: Path | None = None,
    report: Mapping[str, Any] | None = None,
) -> Case:
    """With the source that the job's report names. report: None: the one beside the result, if it
    is there."""
    report = job_report(result) if report is None else report
    if source is None and report is not None:
        source = _reported_source(report, result)
    return Case(result, source, audio, report)


def _reported_source(report: Mapping[str, Any], result: Path) -> Path | None:
    """The job's input, where it is still there, as the report names it or beside the result."""
    named = Path(report["input"]["path"])
    for path in (named, result.with_name(named.name)):
        if path.is_file() and not path.samefile(result):
            logger.info("the source is %s, as the report of the job says", path)
            return path
    logger.info("the source that the report of the job names is not there: %s", named)
    return None


def compared(one: Judgement, other: Judgement, names: tuple[str, str]) -> dict[str, Any]:
    """The evaluation of one with what the other result of the same source differs by."""
    found = compare(one.measured, other.measured)
    return with_comparison(one.evaluation, other.evaluation, found, names)


def lacking_of(without_source: str | None, heard: HeardAudio | None) -> Lacking:
    """without_source: why there is no source; None: there is one."""
    lacking: dict[Any, str] = {}
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
