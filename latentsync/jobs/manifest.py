"""From the entries of a list to jobs that can be run: every problem is found before any work."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import LatentSyncError
from latentsync.evaluate.files import check_evaluation
from latentsync.jobs.entries import Entry
from latentsync.media.files import check_file, check_names
from latentsync.media.picture.kinds import compared, name_beside
from latentsync.settings.load import config_of, load_config
from latentsync.settings.paths import absolute
from latentsync.settings.schema import Config


class ManifestError(LatentSyncError):
    """A list of jobs that cannot be run as it is. problems: a line each."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        super().__init__(name, tuple(problems))
        self.name, self.problems = name, tuple(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        what = "1 problem" if count == 1 else f"{count} problems"
        return f"{self.name}: {what}; nothing was done: {'; '.join(self.problems)}"


@dataclass(frozen=True, slots=True)
class Planned:
    """A job that can be added to the store. where: file and line of its entry. config: with
    absolute paths."""

    where: str
    name: str
    config: Config
    priority: int

    @property
    def output(self) -> Path:
        return Path(str(self.config.output.path))

    @property
    def inputs(self) -> list[Path]:
        """The video and all speech."""
        given = self.config.input
        paths = [given.video, given.audio, *(one.audio for one in self.config.speakers)]
        return [Path(path) for path in paths if path is not None]


def planned_jobs(
    name: str,
    entries: Sequence[Entry],
    *,
    config: str | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    known: Callable[[Planned], bool] = lambda _job: False,
) -> list[Planned]:
    """One for each entry, in order. Precedence, highest first: flags, overrides, the entry, config.

    name: of the list. known: whether a job is of an earlier run, so that its output may be there.
    Raises ManifestError with all problems: missing files, invalid settings, two jobs with one
    output, an output that exists or that is an input.
    """
    problems: list[str] = []
    jobs: list[Planned] = []
    for entry in entries:
        try:
            jobs.append(_planned(entry, config, overrides, flags or {}))
        except LatentSyncError as error:
            problems.append(f"{entry.where}: {error}")
    for job in jobs:
        try:
            _check_files(job, known=known(job))
        except LatentSyncError as error:
            problems.append(f"{job.where}: {error}")
    problems += _collisions(jobs)
    if problems:
        raise ManifestError(name, problems)
    return jobs


class _EntryError(LatentSyncError):
    pass


def _planned(
    entry: Entry, config: str | None, overrides: Sequence[str], flags: Mapping[str, Any]
) -> Planned:
    if entry.problem is not None:
        raise _EntryError(entry.problem)
    if entry.video is None:
        raise _EntryError("no video is named")
    if entry.output is None:
        raise _EntryError("no output is named, nor --output_dir")
    own = [f"{key}={json.dumps(value)}" for key, value in entry.settings.items()]
    files = {
        "input.video": entry.video,
        "input.audio": entry.audio,
        "output.path": entry.output,
    }
    loaded = load_config(config, [*own, *overrides], flags={**flags, **files})
    tree = dataclasses.asdict(loaded)
    absolute(tree)  # the job may be worked on from another folder
    return Planned(entry.where, entry.name, config_of(tree), entry.priority)


def _check_files(job: Planned, *, known: bool) -> None:
    given, output = job.config.input, job.config.output
    check_names(Path(str(given.video)), job.output, overwrite=known or output.overwrite)
    if output.evaluate:
        check_evaluation(job.output)
    for audio in job.inputs[1:]:
        try:
            check_file(audio, "speech")
        except OSError as error:
            raise _EntryError(f"cannot open the speech: {audio}; {error.strerror}") from None


def _collisions(jobs: Sequence[Planned]) -> list[str]:
    """Case is ignored, as some disks do so, and the suffix is where report names drop it."""
    problems: list[str] = []
    taken: dict[str, Planned] = {}
    inputs: dict[Path, Planned] = {}
    for job in jobs:
        for path in job.inputs:
            inputs.setdefault(path, job)
    for job in jobs:
        if (reader := inputs.get(job.output)) is not None:
            what = "its output is an input of"
            problems.append(f"{job.where}: {what} {reader.where}: {job.output}; rename it")
        for path in (job.output, compared(job.output))[: 1 + job.config.output.compare]:
            first = taken.setdefault(name_beside(path).casefold() + str(path.parent), job)
            if first is not job:
                problems.append(
                    f"{job.where}: the same output as {first.where}: {path}; rename one"
                )
    return problems
