"""Judges what a job has made, and writes the evaluation and its page beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from latentsync.evaluate.files import evaluation_path, page_path
from latentsync.evaluate.job import tell
from latentsync.evaluate.judge import Case, case_of, judge
from latentsync.evaluate.page.write import write_judgement
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.jobs.rows import JobRow
from latentsync.jobs.shown import JUDGING, Shown
from latentsync.media.picture.kinds import is_picture
from latentsync.settings.schema import Config


def asks_for_judging(job: JobRow) -> bool:
    """A picture is not judged."""
    return bool(job.config["output"]["evaluate"]) and not is_picture(Path(job.output))


def judge_result(config: Config, shown: Shown) -> None:
    """Writes the evaluation and the page; the job's report says what came out. Raises as
    evaluate.judge.judge does, and MediaError where a file cannot be written."""
    target = Path(str(config.output.path))
    case = _case(config, target)

    @contextmanager
    def progress(_title: str, total: int) -> Iterator[Callable[[], None]]:
        with shown(JUDGING, total) as step:
            yield step

    found = judge(evaluation_engine(config), case, progress=progress)
    evaluation = evaluation_path(target)
    write_judgement(found.evaluation, case, found.moments, evaluation, page_path(evaluation))
    if case.report is not None:
        tell(dict(case.report), found, config, target)


def _case(config: Config, target: Path) -> Case:
    """By the job's report; without one the video is compared with its source by time."""
    case = case_of(target)
    if case.report is not None:
        return case
    given = config.input
    speech = given.audio if not given.audio_offset else None
    return Case(target, Path(str(given.video)), None if speech is None else Path(speech))
