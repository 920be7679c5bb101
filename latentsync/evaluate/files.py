"""The files of an evaluation: their names beside a result, and what may be replaced by them.

Imports nothing slow: names are checked before any work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError, MediaError
from latentsync.media.picture.kinds import name_beside
from latentsync.pipeline.compact_json import compact_json
from latentsync.places import part_file

KIND = "latentsync evaluation"
"""Marks a file as an evaluation: an evaluation never replaces another kind of file."""
GENERATOR = '<meta name="generator" content="latentsync evaluation">'
"""Marks a page in the same way; it stands near its beginning."""
INDEX = "evaluations.html"
_BEGINNING = 2000  # characters


def evaluation_path(result: Path) -> Path:
    return result.with_name(f"{name_beside(result)}.evaluation.json")


def page_path(evaluation: Path) -> Path:
    """The page beside an evaluation."""
    return evaluation.with_name(f"{evaluation.name.removesuffix('.json')}.html")


def is_evaluation(path: Path) -> bool:
    """Whether the file is an evaluation of this program, which a newer one may replace."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def is_page(path: Path) -> bool:
    """Whether the file is a page of this program, which a newer one may replace."""
    return GENERATOR in _beginning(path)


def is_table(path: Path) -> bool:
    """Whether the file is a table of csv_table.py."""
    return _beginning(path).startswith("video,sync,mouth,")


def check_evaluation(result: Path) -> None:
    """Before the work on a result: raises as check_replaceable does for its evaluation and page."""
    target = evaluation_path(result)
    check_replaceable(target, "an evaluation", is_evaluation)
    check_replaceable(page_path(target), "a page of an evaluation", is_page)


def check_replaceable(path: Path | None, what: str, is_one: Callable[[Path], bool]) -> None:
    """Raises ConfigError where a file of another kind is in the way, or its folder cannot be
    written to."""
    if path is None:
        return
    if path.exists() and not is_one(path):
        remedy = "move it away, or choose another name"
        raise ConfigError(f"not {what}, so not replaced by one", path, remedy)
    folder = next(one for one in path.absolute().parents if one.exists())
    if not os.access(folder, os.W_OK):
        remedy = "copy the result to a folder of your own, or name a file with --json"
        raise ConfigError("the folder cannot be written to", folder, remedy)


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_BEGINNING)
    except (OSError, ValueError):
        return ""


def write_evaluation(evaluation: Mapping[str, Any], path: Path) -> None:
    """Writes JSON. Raises as write_whole does."""
    write_whole(compact_json(evaluation), path, "the evaluation")


def write_whole(text: str, path: Path, what: str) -> None:
    """UTF-8, lone surrogates as "?". The file appears under its name only when complete.

    what: for the message. Raises MediaError: it cannot be written.
    """
    try:
        with part_file(path) as part:
            part.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise MediaError(f"cannot write {what}", path, str(error)) from error
