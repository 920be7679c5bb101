"""Judges what a job makes while it makes it, from frames and faces that are in memory already."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from latentsync.errors import LatentSyncError, MediaError
from latentsync.evaluate.evaluation import evaluation
from latentsync.evaluate.facts import Judged
from latentsync.evaluate.files import evaluation_path
from latentsync.evaluate.heard import HeardAudio, heard_with
from latentsync.evaluate.judge import (
    Case,
    Judgement,
    case_of,
    facts_of,
    heard_as_filmed,
    judge,
    lacking_of,
)
from latentsync.evaluate.measures.outside import ENCODED, Outside
from latentsync.evaluate.measuring import Inputs, measures_for
from latentsync.evaluate.needs import reasons
from latentsync.evaluate.pair import Measure
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.evaluate.pairs_of_job import PairsOfJob
from latentsync.evaluate.statistics import Measured
from latentsync.media.probe import probe
from latentsync.pipeline.output import Output
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.report import report_beside, write_report
from latentsync.pipeline.session import Session
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)

BEFORE_ENCODE = "a job is judged before the encode; the evaluate command measures the file"


def render_and_judge(
    session: Session,
    output: Output,
    progress: Progress = no_progress,
    *,
    command: str | None = None,
) -> tuple[dict[str, Any], Case, Judgement]:
    """As Session.render with frames looked at on the way -> the report, which says what came out
    (key `evaluation`), what was judged, and the judgement.

    Where no frame was changed, and the video was copied, the file is looked at afterwards.
    Raises as Session.render does, as results_of does, and CheckpointError where the face mesh is
    missing.
    """
    config = session.config
    heard = heard_with(session.source.info, session.audio)
    lacking: dict[Any, str] = {}

    def new_measures(plan: RenderPlan) -> list[Measure]:
        own = heard if not session.speaks else heard_as_filmed(session.source.info, plan.source)
        made, missing = measures_for(Inputs(config, heard, own, generated=session.speaks))
        lacking.update(missing)
        return [one for one in made if not isinstance(one, Outside)]

    region, folders = config.restore.region, config.weights.folders
    with PairsOfJob(new_measures, region=region, folders=folders) as pairs:
        report = session.render(output, progress, command=command, observers=[pairs])
    case = Case(output.target, session.source.info.path, _speech(session), report)
    measured = results_of(pairs, output.target)
    if pairs.measured:
        facts = Judged(
            result=facts_of(probe(output.target), frames=pairs.total),
            source=facts_of(session.source.info),
            audio=_path(session, heard),
            measured=pairs.measured,
            cuts_seconds=pairs.cuts_seconds,
        )
        not_measured = reasons({**lacking_of(None, heard), **lacking})
        not_measured[ENCODED] = BEFORE_ENCODE
        found = evaluation(
            measured, facts, not_measured=not_measured, report=report, command=command
        )
        judgement = Judgement(found, measured, pairs.moments)
    else:
        judgement = judge(evaluation_engine(config), case, progress=progress, command=command)
    tell(report, judgement, config, output.target)
    return report, case, judgement


def results_of(pairs: PairsOfJob, target: Path) -> list[Measured]:
    """What the measures of a job found. target: the job's output, which is complete.

    Raises MediaError where a measure failed: other videos of a batch go on.
    """
    try:
        return pairs.results()
    except LatentSyncError:
        raise
    except Exception as error:
        logger.debug("a measure failed", exc_info=error)
        remedy = f"{type(error).__name__}: {error}; this is a bug, please report it"
        raise MediaError("written, but it could not be evaluated", target, remedy) from error


def judge_finished(
    config: Config,
    output: Output,
    report: dict[str, Any],
    progress: Progress = no_progress,
    *,
    command: str | None = None,
) -> tuple[dict[str, Any], Case, Judgement]:
    """As render_and_judge, of a file that is complete. report: of its job."""
    case = case_of(output.target, report=report)
    judgement = judge(evaluation_engine(config), case, progress=progress, command=command)
    tell(report, judgement, config, output.target)
    return report, case, judgement


def tell(report: dict[str, Any], judgement: Judgement, config: Config, target: Path) -> None:
    """The report of the job that wrote the target says what came out."""
    report["evaluation"] = brief(judgement.evaluation, target)
    if config.output.report:
        write_report(report, report_beside(target))


def brief(evaluation: dict[str, Any], target: Path) -> dict[str, Any]:
    """What the report of a job says of its evaluation."""
    return {
        "file": evaluation_path(target).name,
        "summary": evaluation["summary"],
        "verdict": evaluation["verdict"],
        "figures": {name: one["value"] for name, one in evaluation["figures"].items()},
    }


def _speech(session: Session) -> Path | None:
    """The new speech, if it is one file that begins with the video."""
    given = session.config.input
    return Path(given.audio) if given.audio is not None and not given.audio_offset else None


def _path(session: Session, heard: HeardAudio | None) -> Path | None:
    """The file to name: a mixed soundtrack is a temporary one."""
    named = session.config.input.audio
    if session.speaks and named is not None:
        return Path(named)
    return None if heard is None else heard.path
