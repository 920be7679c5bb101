"""What the evaluate command was asked for: results, their sources, and files that it may write.

All names are checked before any work, and before torch is imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latentsync.commands.folder import VIDEOS, is_folder, with_contents
from latentsync.errors import ConfigError
from latentsync.evaluate.files import (
    INDEX,
    check_replaceable,
    evaluation_path,
    is_evaluation,
    is_page,
    is_table,
    page_path,
)
from latentsync.media.files import check_there
from latentsync.media.picture.kinds import compared, is_picture
from latentsync.settings.schema import Config


@dataclass(frozen=True, slots=True)
class Wanted:
    """One result to evaluate. source, audio: as named; None: not named. target: the evaluation.
    page: the HTML page; None: no page."""

    result: Path
    source: Path | None
    audio: Path | None
    target: Path
    page: Path | None


@dataclass(frozen=True, slots=True)
class Request:
    """several: folders, or more than two files; otherwise two files are compared. csv: a table of
    all. index: a page of several."""

    wanted: tuple[Wanted, ...]
    several: bool
    csv: Path | None
    index: Path | None


def request_of(options: argparse.Namespace, names: Sequence[str]) -> Request:
    """names: of files and folders. Raises ConfigError and MediaError."""
    if not names:
        raise ConfigError("the result", "not given", "name a video, or a folder of videos")
    results = _results(names)
    several = len(results) > 2 or any(map(is_folder, names))
    if options.json is not None and (several or len(results) > 1):
        remedy = "leave it out: each result gets a file beside it; --csv makes a table of all"
        raise ConfigError("--json is for one result", options.json, remedy)
    for named in (options.source, options.audio):
        if named is not None and not (named is options.source and is_folder(named)):
            check_there(Path(named))
    wanted = tuple(_wanted(options, result, several) for result in results)
    csv = None if options.csv is None else Path(options.csv)
    index = wanted[0].target.with_name(INDEX) if options.html and several else None
    _check_files(wanted, csv, index)
    return Request(wanted, several, csv, index)


def _results(names: Sequence[str]) -> list[Path]:
    """Videos; those of folders without the before | after videos beside a result."""
    found: list[Path] = []
    for name in names:
        videos = [Path(one) for one in with_contents([name], pictures=False)]
        beside = {compared(one) for one in videos} if is_folder(name) else set()
        found += [one for one in videos if one not in beside]
    for one in found:
        check_there(one)
        if is_picture(one):
            raise ConfigError("a picture cannot be evaluated", one, "name a video")
    return list(dict.fromkeys(found))


def _wanted(options: argparse.Namespace, result: Path, several: bool) -> Wanted:
    target = evaluation_path(result) if options.json is None else Path(options.json)
    return Wanted(
        result=result,
        source=_source(options.source, result, several),
        audio=None if options.audio is None else Path(options.audio),
        target=target,
        page=page_path(target) if options.html else None,
    )


def _source(named: str | None, result: Path, several: bool) -> Path | None:
    """The video named, or the one of the result's name in the folder named. several: one of many
    may be without."""
    if named is None or not is_folder(named):
        return None if named is None else Path(named)
    same = [one for one in sorted(Path(named).iterdir()) if one.stem == result.stem]
    found = [one for one in same if one.is_file() and one.suffix.lower() in VIDEOS]
    if not found and not several:
        remedy = f"put {result.name} there, or name the video itself"
        raise ConfigError(f"no source of {result.name} in the folder", named, remedy)
    return found[0] if found else None


def wanted_of(result: Path, *, html: bool) -> Wanted:
    """The evaluation of what a job makes."""
    target = evaluation_path(result)
    return Wanted(result, None, None, target, page_path(target) if html else None)


def index_of(results: Sequence[Path]) -> Path:
    """The page of all evaluations, in the folder of the results."""
    return results[0].with_name(INDEX)


def check_evaluations(results: Sequence[Path], config: Config, *, html: bool) -> None:
    """Before the work on these outputs: raises ConfigError where a file of their evaluations may
    not be replaced. Pictures have none."""
    videos = [one for one in results if not is_picture(one)]
    if config.output.evaluate and videos:
        index = index_of(videos) if html and len(results) > 1 else None
        _check_files([wanted_of(one, html=html) for one in videos], None, index)


def _check_files(wanted: Sequence[Wanted], csv: Path | None, index: Path | None) -> None:
    """Raises ConfigError: two results have one evaluation, a file of another kind is in the way,
    or a folder cannot be written to."""
    taken: dict[str, Path] = {}
    for one in wanted:
        first = taken.setdefault(str(one.target).casefold(), one.result)
        if first != one.result:
            both = f"{first} and {one.result}"
            raise ConfigError("two results would get the same evaluation", both, "rename one")
        check_replaceable(one.target, "an evaluation", is_evaluation)
        check_replaceable(one.page, "a page of an evaluation", is_page)
    check_replaceable(csv, "a table of evaluations", is_table)
    check_replaceable(index, "a page of evaluations", is_page)
