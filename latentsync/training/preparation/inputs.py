"""Which files there are to prepare, and what each contains: nothing is written beside them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError, LatentSyncError
from latentsync.media.probe import probe
from latentsync.places import part_file
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.manifest import FRAME_RATE
from latentsync.training.preparation.readable import whole
from latentsync.training.preparation.workers import Work

_BLOCK = 1 << 20
VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".flv", ".wmv", ".3gp", ".ogv", ".mxf"),
)
"""Names of a folder that end so count as a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file. name: below the input folder. sha256: of its content; empty: it cannot be read.

    seconds: by its header; 0: it is no video. error: why it cannot be used; empty: it may be.
    failed: the program failed on it, which says nothing of the file.
    """

    name: str
    path: Path
    sha256: str = ""
    seconds: float = 0.0
    error: str = ""
    failed: bool = False


def find_inputs(folder: Path) -> list[Input]:
    """All files below the folder, by name, but for hidden ones; a single file is a list of one.

    Links are followed, to each folder once. Raises ConfigError: it is not there, or holds nothing.
    """
    if folder.is_file():
        return [Input(folder.name, folder)]
    if not folder.is_dir():
        raise ConfigError("no such folder of videos", folder, "name the folder with your videos")
    found = sorted(_files(folder), key=lambda one: one.name)
    if not found:
        raise ConfigError("no file in the folder", folder, "name the folder with your videos")
    return found


def _files(folder: Path) -> Iterator[Input]:
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        identity = here.stat().st_dev, here.stat().st_ino
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if Path(name).suffix.lower() in VIDEOS:
                path = here / name
                error = "it is a folder; the files in it are used"
                yield Input(str(path.relative_to(folder)), path, error=error)
        for name in names:
            if not name.startswith("."):
                yield Input(str((here / name).relative_to(folder)), here / name)


def inspected(one: Input, cache: Path) -> Input:
    """The same with hash and length. cache: folder of what was found before, by path, size and time
    of change, so that a terabyte is read once. Raises MediaError: it cannot be written."""
    if one.error:
        return one
    try:
        state = one.path.stat()
        if not stat.S_ISREG(state.st_mode):
            return _with(one, error="it is no regular file")
        place = cache / f"{hashlib.sha256(str(one.path.absolute()).encode()).hexdigest()}.json"
        stamp = {"size": state.st_size, "changed": state.st_mtime_ns, "path": str(one.path)}
        known = _known(place, stamp)
        if known is not None:
            return _with(one, sha256=known["sha256"], seconds=known["seconds"])
        sha256 = content_hash(one.path)
    except OSError as error:
        return _with(one, error=f"it cannot be opened: {error.strerror or error}")
    facts = {**stamp, "sha256": sha256, "seconds": _seconds(one.path)}
    with writing("what is known of a file", place), part_file(place) as part:
        part.write_text(json.dumps(facts), "utf-8")
    return _with(one, sha256=sha256, seconds=facts["seconds"])


@dataclass(frozen=True, slots=True)
class InspectWork:
    """A workers.Start. cache: see inspected. set_up: called first in each process."""

    cache: Path
    set_up: Callable[[], None]

    def __call__(self) -> Work:
        self.set_up()
        return lambda one, _tick: inspected(one, self.cache)


def content_hash(path: Path) -> str:
    """SHA-256 of all of it. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _seconds(path: Path) -> float:
    """0: it is no video that can be read, which its worker says."""
    try:
        info = probe(path)
    except LatentSyncError:
        return 0.0
    return whole(info).frames / FRAME_RATE


def _known(place: Path, stamp: dict[str, Any]) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    same = all(facts.get(name) == value for name, value in stamp.items())
    return facts if same and "sha256" in facts and "seconds" in facts else None


def _with(one: Input, **facts: Any) -> Input:
    return Input(one.name, one.path, **facts)
