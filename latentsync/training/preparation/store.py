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
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from latentsync.errors import ConfigError
from latentsync.places import PACKAGE, part_file
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.manifest import FRAME_RATE, Row
from latentsync.training.preparation.one_source import Prepared

MARK, RECORD, VECTORS = "prepare_data.json", "record.json", "faces.npz"
KIND = "latentsync training data"
ABANDONED = 3600.0
"""Seconds after which a part that nothing was done to is of a run that was killed."""
_PART, _SHOW_EVERY = ".part-", 60.0
_DECIDES = (
    *("training/preparation", "face", "media", "speech", "models", "restoration", "evaluate"),
    *("pipeline", "geometry.py", "tone.py", "curves.py", "frame_times.py", "types.py"),
)
"""What a verdict or a clip may depend on, of the package."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that was kept, as the outputs need it. path: of its file. source, sha256: of the video
    that it is from; start, end: seconds of it. person: number in the source. facts: figures."""

    name: str
    path: Path
    source: str
    sha256: str
    start: float
    end: float
    person: int
    facts: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A finished source. vectors: by number of a person, (n, D)."""

    rows: tuple[Row, ...]
    clips: tuple[Clip, ...]
    vectors: Mapping[int, np.ndarray]
    folder: Path


class Store:
    """identity: all that verdicts depend on beside the content of a source; JSON."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder, self.clips, self.inputs = folder, folder / "clips", folder / "inputs"
        self._run = uuid4().hex[:8]
        self._identity = json.dumps([identity, code_hash()], sort_keys=True)

    def stem(self, one: Input) -> str:
        """What the names of its clips begin with; unlike for other content and other settings."""
        key = hashlib.sha256(f"{one.sha256}{self._identity}".encode()).hexdigest()
        plain = re.sub(r"[^A-Za-z0-9-]+", "-", Path(one.name).stem).strip("-")
        return f"{plain[:40] or 'video'}-{key[:16]}"

    def finished(self, one: Input) -> Record | None:
        """None: it is still to be done."""
        folder = self.clips / self.stem(one)
        try:
            facts = json.loads((folder / RECORD).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            remedy = f"delete this folder: its source is prepared again ({error})"
            raise ConfigError("a record cannot be read", folder, remedy) from error
        rows = tuple(replaced(Row.of(row), one.name) for row in facts["rows"])
        clips = tuple(_clip(each, folder, one) for each in facts["clips"])
        vectors: dict[int, np.ndarray] = {}
        if (folder / VECTORS).exists():
            with np.load(folder / VECTORS) as stored:
                vectors = {int(name): stored[name] for name in stored.files}
        return Record(rows, clips, vectors, folder)

    @contextmanager
    def making(self, one: Input) -> Iterator[Path]:
        """A folder for the clips of a source; see write(). Deleted where it was not written.

        Raises MediaError: it cannot be made.
        """
        part = self.clips / f"{_PART}{self.stem(one)}.{self._run}"
        shutil.rmtree(part, ignore_errors=True)
        with writing("the clips", part):
            part.mkdir(parents=True)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def write(self, part: Path, one: Input, prepared: Prepared) -> None:
        """Everything of the source appears at once. Raises MediaError: the disk is full."""
        facts = {
            "kind": KIND,
            "source": one.name,
            "sha256": one.sha256,
            "rows": [asdict(row) for row in prepared.journal.rows],
            "clips": [asdict(clip) for clip in prepared.clips],
        }
        with writing("the clips", part):
            vectors = {str(number): each for number, each in prepared.vectors.items()}
            if vectors:
                np.savez(part / VECTORS, allow_pickle=False, **vectors)
            (part / RECORD).write_text(json.dumps(facts, indent=1), "utf-8")
            target = self.clips / self.stem(one)
            if not target.exists():  # another run may have been quicker
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
        for part in self.clips.glob(f"{_PART}*.{self._run}"):
            shutil.rmtree(part, ignore_errors=True)

    def unused(self, inputs: list[Input]) -> list[Path]:
        """Folders of other settings, another version, or files that are gone."""
        used = {self.stem(one) for one in inputs}
        if not self.clips.is_dir():
            return []
        folders = (one for one in self.clips.iterdir() if (one / RECORD).is_file())
        return sorted(one for one in folders if one.name not in used)


def replaced(row: Row, source: str) -> Row:
    """The row under the name that the file has now: it may have been moved."""
    return Row(**{**{name: getattr(row, name) for name in Row.__slots__}, "source": source})


def _clip(facts: Mapping[str, Any], folder: Path, one: Input) -> Clip:
    piece = facts["piece"]
    start, end = piece["start"] / FRAME_RATE, piece["stop"] / FRAME_RATE
    known = {**facts["figures"], "audio_delay_frames": facts["offset"]}
    path = folder / f"{facts['name']}.mp4"
    return Clip(facts["name"], path, one.name, one.sha256, start, end, piece["person"], known)


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


@cache
def code_hash() -> str:
    """Of the files that decide; a change of the server, for instance, costs no work."""
    digest = hashlib.sha256()
    for name in _DECIDES:
        place = PACKAGE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()
