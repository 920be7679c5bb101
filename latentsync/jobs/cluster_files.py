"""The files of a job on a machine that may not see them: they are copied there, and what it makes
is copied back.

    TEMP/latentsync-TOKEN/JOB/in/KEY/NAME    copies of the video, the speech, ...
                              out/NAME       the output; beside it the folder of its segments
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from latentsync.media.segment_file import flush
from latentsync.pipeline.segments.folder import folder_of
from latentsync.pipeline.segments.identity import file_hash
from latentsync.places import part_file
from latentsync.settings.paths import INPUT_FILES

PLAN_FILES = ("plan.npz", "plan.json", "job.json")
"""Of a folder of segments; the last one makes the others valid."""

Read = Callable[[str], Iterable[bytes]]
"""The bytes of a file of another machine, in blocks."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What another machine has to know of a job. config: plain data. target: absolute path of the
    output. files: setting -> absolute path and hash of an input. mark: a file beside the segments,
    by which a machine knows whether it sees them; None: it is to work on copies. plan: what reads
    as PLAN_FILES and their contents; None: not planned yet. segments: the files that are done."""

    id: str
    config: Mapping[str, Any]
    target: str
    files: Mapping[str, tuple[str, str]]
    mark: str | None
    plan: Any = None
    segments: tuple[str, ...] = ()
    short: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a task. value: what the task returns. files: of the machine that worked on it;
    they have to be copied to where the output is."""

    value: Any = None
    files: tuple[str, ...] = field(default=())


def write(path: Path, contents: Iterable[bytes]) -> None:
    """The file appears when it is complete and on the disk."""
    with part_file(path) as part:
        with part.open("wb") as file:
            for block in contents:
                file.write(block)
        flush(part)


def inputs_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Setting -> path, of the files that a job reads; those that are no files are left out."""
    keys = [*INPUT_FILES, *(f"speakers.{n}.audio" for n in range(len(config["speakers"])))]
    named = {key: _section(config, key)[key.rsplit(".", 1)[1]] for key in keys}
    return {key: path for key, path in named.items() if path and Path(path).is_file()}


class NodeFiles:
    """The files of one job on this machine; several processes may use them at once.

    folder: for copies. read: of the machine that has the files.
    """

    def __init__(self, folder: Path, spec: JobSpec, read: Read) -> None:
        self._folder, self._read = folder, read
        self._target = Path(spec.target)
        self.copied = spec.mark is None or not Path(spec.mark).exists()
        if self.copied:
            self._target = folder / "out" / self._target.name
            self._target.parent.mkdir(parents=True, exist_ok=True)
        self._moved = {str(self._target): spec.target}
        self.config = self._config(spec)

    @property
    def segments(self) -> Path:
        """The folder of the segments."""
        return folder_of(self._target)

    def add_plan(self, plan: Mapping[str, bytes]) -> None:
        """To the copied folder, unless it is there."""
        with self._lock("plan"):
            about = self.segments / PLAN_FILES[-1]
            if about.exists() and about.read_bytes() == plan[about.name]:
                return
            for name in PLAN_FILES:
                write(self.segments / name, [plan[name]])

    def add_segments(self, paths: Iterable[str]) -> None:
        """To the copied folder, those that are not there."""
        with self._lock("segments"):
            for path in paths:
                target = self.segments / Path(path).name
                if not target.exists():
                    write(target, self._read(path))

    def made(self, pattern: str) -> tuple[str, ...]:
        """Files of the segments' folder that have to be copied back. pattern: of their names. A
        segment's .json is the last one: it makes the others valid."""
        found = self.segments.glob(pattern) if self.copied else ()
        return tuple(sorted(map(str, found), key=lambda one: (one.endswith(".json"), one)))

    def outputs(self) -> tuple[str, ...]:
        """The output and what is beside it, to be copied back."""
        if not self.copied:
            return ()
        found = [one for one in self._target.parent.iterdir() if one.is_file()]
        kept = [one for one in found if not one.name.startswith(".")]
        for report in (one for one in kept if one.name.endswith(".report.json")):
            text = report.read_text("utf-8")
            for here, there in self._moved.items():
                text = text.replace(json.dumps(here), json.dumps(there))
            report.write_text(text, "utf-8")
        return tuple(map(str, kept))

    def _config(self, spec: JobSpec) -> dict[str, Any]:
        """The settings with the names that the files have here."""
        config: dict[str, Any] = copy.deepcopy(dict(spec.config))
        for key, (path, contents) in spec.files.items():
            section, name = _section(config, key), key.rsplit(".", 1)[1]
            if spec.mark is None or not _sees(path, contents):
                here = self._folder / "in" / key / Path(path).name
                self._copy(path, here)
                self._moved[str(here)] = path
                section[name] = str(here)
            elif not Path(section[name]).exists():  # relative to another folder
                section[name] = path
        if self.copied:
            config["output"] |= {"path": str(self._target), "overwrite": True}
        elif Path(config["output"]["path"]).absolute() != self._target:
            config["output"]["path"] = str(self._target)
        return config

    def _copy(self, path: str, here: Path) -> None:
        with self._lock(here.parent.name):
            if not here.exists():
                write(here, self._read(path))

    def _lock(self, name: str) -> FileLock:
        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / f".{name}.lock")


def node_folder(token: str) -> Path:
    """For the copies of one run, on this machine. token: of the run."""
    return Path(tempfile.gettempdir()) / f"latentsync-{token}"


def remove_copies(token: str) -> None:
    shutil.rmtree(node_folder(token), ignore_errors=True)


def _sees(path: str, contents: str) -> bool:
    """Whether that very file is here."""
    try:
        return file_hash(Path(path)) == contents
    except OSError:
        return False


def _section(config: Mapping[str, Any], key: str) -> Any:
    section: Any = config
    for name in key.split(".")[:-1]:
        section = section[int(name)] if name.isdigit() else section[name]
    return section
