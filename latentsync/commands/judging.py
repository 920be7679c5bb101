"""The work of the evaluate command: judges results, writes their evaluations and pages, and prints
what came out. Faces are found by models that are loaded once, for any number of videos."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentsync.commands.console import DONE, INTERRUPTED, USER_ERROR, print_error, use_threads
from latentsync.commands.progress import progress_bar
from latentsync.commands.to_evaluate import Request, Wanted
from latentsync.errors import LatentSyncError
from latentsync.evaluate.csv_table import write_csv
from latentsync.evaluate.judge import Case, Judgement, case_of, compared, judge
from latentsync.evaluate.networks import Judges, load_judges
from latentsync.evaluate.page.index import IndexRow, thumbnail, write_index
from latentsync.evaluate.page.write import write_judgement
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.evaluate.text import average_lines, comparison_lines, summary_lines
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.runtime.execution import torch_threads
from latentsync.settings.schema import Config


@dataclass(kw_only=True)
class Evaluations:
    """Writes evaluations and their pages, and keeps what they say. done: without their curves,
    which take megabytes. rows: of the page of all."""

    done: list[dict[str, Any]] = field(default_factory=list)
    rows: list[IndexRow] = field(default_factory=list)

    def write(
        self, wanted: Wanted, case: Case, found: Judgement, evaluation: dict[str, Any]
    ) -> None:
        """Writes the evaluation, found or with a comparison, and the page if one is wanted."""
        shots = write_judgement(evaluation, case, found.moments, wanted.target, wanted.page)
        self.done.append(without_curves(evaluation))
        if wanted.page is None:
            return
        shown = thumbnail(shots[0].after) if shots else None
        self.rows.append(IndexRow(wanted.result.name, wanted.page.name, shown, self.done[-1]))

    def failed(self, name: str, error: LatentSyncError) -> None:
        """name: of the video that there is no evaluation of."""
        self.rows.append(IndexRow(name, error=str(error)))

    def write_index(self, path: Path) -> None:
        """The page of all."""
        write_index(self.rows, path)
        print(f"{path}: a page of all, for a browser")


def without_curves(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What tables and lists of evaluations show."""
    figures = {
        name: {key: value for key, value in one.items() if key not in ("seconds", "curve")}
        for name, one in evaluation["figures"].items()
    }
    return {**evaluation, "figures": figures}


@dataclass(kw_only=True)
class _Work(Evaluations):
    """Judges results one after the other."""

    engine: Engine
    judges: Judges
    quiet: bool
    command: str

    def judge(self, wanted: Wanted, name: str = "") -> tuple[Case, Judgement]:
        """name: shown with the progress, where there are several."""
        case = case_of(wanted.result, wanted.source, wanted.audio)
        bar: Progress = no_progress if self.quiet else progress_bar
        shown: Progress = (lambda title, total: bar(f"{name}: {title}", total)) if name else bar
        found = judge(self.engine, case, judges=self.judges, progress=shown, command=self.command)
        return case, found


def evaluate(request: Request, config: Config, *, quiet: bool, command: str) -> int:
    """Exit code: 2 if any of several videos failed. Raises LatentSyncError where there are but one
    or two."""
    engine, judges = evaluation_engine(config), load_judges(config)
    execution = judges.execution or engine.execution
    use_threads(torch_threads(execution, networks=judges.execution is not None))
    work = _Work(engine=engine, judges=judges, quiet=quiet, command=command)
    code = DONE
    if request.several:
        code = _all(work, request)
    elif len(request.wanted) == 2:
        _two(work, request.wanted[0], request.wanted[1])
    else:
        _one(work, request.wanted[0])
    if request.csv is not None and work.done:
        write_csv(work.done, request.csv)
        print(f"{request.csv}: a table of the figures")
    return code


def _one(work: _Work, wanted: Wanted) -> None:
    case, found = work.judge(wanted)
    work.write(wanted, case, found, found.evaluation)
    say_judged(wanted, found.evaluation)


def _two(work: _Work, first: Wanted, second: Wanted) -> None:
    names = names_apart(first.result, second.result)
    one_case, one = work.judge(first, names[0])
    other_case, other = work.judge(second, names[1])
    work.write(first, one_case, one, compared(one, other, names))
    work.write(second, other_case, other, compared(other, one, names[::-1]))
    print("\n".join(comparison_lines(work.done[0], names)))
    for name, wanted, evaluation in zip(names, (first, second), work.done, strict=True):
        print(f"{name}: {evaluation['summary'][0]}")
        say_files(wanted)


def names_apart(one: Path, other: Path) -> tuple[str, str]:
    """As short as tells two files apart."""
    return (one.name, other.name) if one.name != other.name else (str(one), str(other))


def say_judged(wanted: Wanted, evaluation: Mapping[str, Any]) -> None:
    """What came out, on stdout."""
    print("\n".join(summary_lines(evaluation)))
    say_files(wanted)


def say_files(wanted: Wanted) -> None:
    if wanted.page is not None:
        print(f"{wanted.page}: the same with pictures, for a browser")
    print(f"{wanted.target}: every figure over time")


def _all(work: _Work, request: Request) -> int:
    """A video that fails does not stop the others."""
    count = len(request.wanted)
    try:
        for number, wanted in enumerate(request.wanted, 1):
            _each(work, wanted, f"{number}/{count} {wanted.result.name}")
    except KeyboardInterrupt:
        print(f"interrupted; {len(work.done)} of {count} videos evaluated", file=sys.stderr)
        return INTERRUPTED
    if request.index is not None:
        work.write_index(request.index)
    if work.done:
        print("\n".join(["Averages:", *average_lines(work.done)]))
    print(f"{len(work.done)} of {count} videos evaluated")
    return DONE if len(work.done) == count else USER_ERROR


def _each(work: _Work, wanted: Wanted, name: str) -> None:
    try:
        case, found = work.judge(wanted, name)
        work.write(wanted, case, found, found.evaluation)
        print(f"{name}: {found.evaluation['summary'][0]}")
    except LatentSyncError as error:
        print_error(error, of=name)
        work.failed(wanted.result.name, error)
