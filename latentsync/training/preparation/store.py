"""The output folder: what is finished there, and what this command may write and delete in it.

clips/NAME-KEY/       the clips of one source, with record.json; appears when it is complete
clips/.part-...       of a source at work; deleted by a run an hour after the last sign of work
inputs/               what is known of the input files: hash and length
prepare_data.json     marks the folder as made by this command
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from latentsync.errors import ConfigError
from latentsync.places import part_file
from latentsync.training.preparation.deciding import code_hash
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.one_source import Prepared
from latentsync.training.preparation.record import RECORD, Record, read_record, write_record

MARK = "prepare_data.json"
KIND = "latentsync training data"
ABANDONED = 3600.0
"""Seconds after which a part that nothing was done to is of a run that was killed."""
KEY = 16
"""Letters of what a folder's name ends with: content, settings and code."""
_PART, _SHOW_EVERY = ".part-", 60.0


class Store:
    """identity: all that verdicts depend on beside the content of a source; JSON."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder, self.clips, self.inputs = folder, folder / "clips", folder / "inputs"
        self._run = uuid4().hex[:8]
        self._names: dict[str, str] | None = None  # by key, of the folders at the first look
        self._identity = _plain(identity)

    def is_for(self, identity: Mapping[str, Any]) -> bool:
        """Whether what is made here, where this is the identity, is what belongs into it."""
        return self._identity == _plain(identity)

    def stem(self, one: Input) -> str:
        """What the names of its clips begin with; unlike for other content and other settings."""
        key = hashlib.sha256(f"{one.sha256}{self._identity}".encode()).hexdigest()
        plain = re.sub(r"[^A-Za-z0-9-]+", "-", Path(one.name).stem).strip("-")
        return f"{plain[:40] or 'video'}-{key[:KEY]}"

    def finished(self, one: Input) -> Record | None:
        """None: it is still to be done."""
        return read_record(self.place(one), one.name)

    def place(self, one: Input) -> Path:
        """The folder of its clips: there, or to be made. A file that was renamed keeps the one that
        it has."""
        own = self.clips / self.stem(one)
        if own.is_dir():
            return own
        if self._names is None:
            found = sorted(self.clips.iterdir()) if self.clips.is_dir() else ()
            self._names = {path.name[-KEY:]: path.name for path in found if path.name[0] != "."}
        return self.clips / self._names.get(own.name[-KEY:], own.name)

    @contextmanager
    def making(self, one: Input) -> Iterator[Path]:
        """A folder for the clips of a source; see write(). Deleted where it was not written. Each
        attempt has its own: a machine that was taken for dead may still write.

        Raises MediaError: it cannot be made.
        """
        part = self.clips / f"{_PART}{self.stem(one)}.{self._run}.{uuid4().hex[:8]}"
        with writing("the clips", part):
            part.mkdir(parents=True)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def write(self, part: Path, one: Input, prepared: Prepared) -> None:
        """Everything of the source appears at once. Raises MediaError: the disk is full."""
        with writing("the clips", part):
            facts = {"kind": KIND, "source": one.name, "sha256": one.sha256}
            write_record(part, prepared, **facts)
            target = self.clips / self.stem(one)
            if not (target / RECORD).is_file():  # another run may have been quicker
                shutil.rmtree(target, ignore_errors=True)
                part.replace(target)

    def keep_alive(self, part: Path, tick: Callable[[], None]) -> Callable[[], None]:
        """tick, which also shows other machines now and then that the part is worked on."""
        shown = time.monotonic()

        def ticked() -> None:
            nonlocal shown
            tick()
            if time.monotonic() - shown > _SHOW_EVERY:
                shown = time.monotonic()
                with suppress(OSError):
                    os.utime(part)

        return ticked

    def remove_parts(self) -> None:
        """Of runs that were killed: those untouched for ABANDONED. Younger ones may be of a run on
        another machine, where the disk has no locks."""
        for part in self.clips.glob(f"{_PART}*"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > ABANDONED:
                    shutil.rmtree(part, ignore_errors=True)

    def remove_own_parts(self) -> None:
        """Of this run, after its processes have ended."""
        for part in self.clips.glob(f"{_PART}*.{self._run}.*"):
            shutil.rmtree(part, ignore_errors=True)

    def unused(self, inputs: list[Input]) -> list[Path]:
        """Folders of other settings, another version, or files that are gone."""
        used = {self.place(one).name for one in inputs}
        if not self.clips.is_dir():
            return []
        folders = (one for one in self.clips.iterdir() if (one / RECORD).is_file())
        return sorted(one for one in folders if one.name not in used)


def _plain(identity: Mapping[str, Any]) -> str:
    return json.dumps([identity, code_hash()], sort_keys=True)


@contextmanager
def mark_of_run(output: Path) -> Iterator[Path]:
    """A folder that is there while the block runs: who sees it sees the output."""
    folder = output / "clips" / f"{_PART}seen.{uuid4().hex}"
    with writing("the clips", folder):
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def check_output(inputs: Path, output: Path) -> None:
    """Raises ConfigError where one of the folders lies in the other, or the output was made by
    somebody else."""
    source, target = inputs.resolve(), output.resolve()
    if target == source or source in target.parents:
        remedy = "name another folder: nothing is written among your videos"
        raise ConfigError("the output lies in the input folder", output, remedy)
    if target in source.parents and _is_ours(target):
        remedy = "name the folder of the videos that these were made of"
        raise ConfigError("the input lies in the output folder", inputs, remedy)
    if target.exists() and not target.is_dir():
        raise ConfigError("the output is a file", output, "name a folder")
    if target.is_dir() and any(target.iterdir()) and not _is_ours(target):
        remedy = "name a new folder: this one was not made by this command"
        raise ConfigError("the output folder is not empty", output, remedy)


def mark(output: Path) -> None:
    """Makes the folder, as one of this command; each run marks it anew, so that other machines know
    it. Raises ConfigError: it cannot be written to."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with part_file(output / MARK) as part:
            part.write_text(json.dumps({"kind": KIND, "run": uuid4().hex}), "utf-8")
    except OSError as error:
        remedy = f"{error.strerror}; name another folder"
        raise ConfigError("the output folder cannot be written to", output, remedy) from error


def _is_ours(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MARK).read_text("utf-8")).get("kind") == KIND)
    except (OSError, ValueError, AttributeError):
        return False
