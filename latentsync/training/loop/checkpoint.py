"""Checkpoints of a training: a folder for each, which appears when it is complete.

OUTPUT/checkpoints/step-00010000/latentsync_unet.pt      {"global_step", "state_dict"}, as
                                                         LatentSync's own files
                                 latentsync_unet_ema.pt  averaged weights, where there are some
                                 training_state.pt       optimizer, scaler, random numbers
                                 about.json              step, samples, settings
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from latentsync.errors import CheckpointError

FOLDER, ABOUT, STATE = "checkpoints", "about.json", "training_state.pt"
MADE_BY = "latentsync training"
_NAME = re.compile(r"step-(\d{8,})")
_PART = ".part"
_OLD = f".old{_PART}"
SAFE = ".safetensors"

Write = Callable[[Path], None]
"""Writes a file in a format of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A complete one. about: step, samples (seen since the start), settings, files."""

    path: Path
    about: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.about["step"])

    def read(self, name: str) -> Any:
        """The content of one of its files. Raises CheckpointError."""
        try:
            if name.endswith(SAFE):
                return {"state_dict": load_file(self.path / name)}
            return torch.load(self.path / name, map_location="cpu", weights_only=True, mmap=True)
        except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as error:
            remedy = "name another checkpoint with --resume"
            raise CheckpointError("cannot be read", self.path / name, remedy) from error


def checkpoints_of(output: Path) -> list[Checkpoint]:
    """The complete ones, in order of their steps."""
    folder = output / FOLDER
    found = [checkpoint_at(one) for one in folder.iterdir()] if folder.is_dir() else []
    return sorted((one for one in found if one is not None), key=lambda one: one.step)


def checkpoint_at(path: Path) -> Checkpoint | None:
    """None: there is none, or it is not one of these."""
    if not _NAME.fullmatch(path.name):
        return None
    try:
        about = json.loads((path / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(about, dict) and about.get("made_by") == MADE_BY
    return Checkpoint(path, about) if ours else None


def write_checkpoint(
    output: Path, about: Mapping[str, Any], files: Mapping[str, Any]
) -> Checkpoint:
    """Writes it under a temporary name, then renames the folder.

    about: with the step. files: name -> content, plain values and tensors, or a function that
    writes it. One of the same step in this output is replaced. Raises CheckpointError: the disk is
    full or read-only, or a function's own; then nothing else has changed.
    """
    step = int(about["step"])
    path = output / FOLDER / f"step-{step:08d}"
    part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    described = {"made_by": MADE_BY, **about, "files": [*files, ABOUT]}
    try:
        part.mkdir(parents=True)
        for name, content in files.items():
            _save(content, part / name)
        _write(part / ABOUT, json.dumps(described, indent=1).encode())
        _in_place_of(path, part)
    except CheckpointError:
        _delete(part, [*files, ABOUT])
        raise
    except (OSError, RuntimeError) as error:  # torch's writer has its own for a full disk
        _delete(part, [*files, ABOUT])
        remedy = "free some space; what was saved before is untouched"
        raise CheckpointError("the checkpoint cannot be written", path, remedy) from error
    return Checkpoint(path, described)


def _save(content: Any, path: Path) -> None:
    if callable(content):
        content(path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        return
    with path.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _in_place_of(path: Path, part: Path) -> None:
    """The finished folder takes its name. One that has it already gives way until then."""
    old = checkpoint_at(path)
    aside = path.with_name(f".{path.name}{_OLD}")
    if old is not None:
        path.rename(aside)
    part.rename(path)
    if old is not None:
        _delete(aside, old.about["files"])


def prune(output: Path, keep: int, *, step: int) -> list[Path]:
    """Deletes all but the last ones of this output -> their folders. keep 0: none.

    step: of the newest. Later ones, of a training that was taken up again at an earlier step, stay
    and do not count. What somebody else put into such a folder stays, and the folder with it.
    """
    own = [one for one in checkpoints_of(output) if one.step <= step]
    gone = own[:-keep] if keep else []
    for one in gone:
        _delete(one.path, one.about["files"])
    return [one.path for one in gone]


def clear_remains(output: Path, weights: str) -> None:
    """Deletes what a killed process left of a checkpoint that it was writing. weights: name of
    that file. To be called where nobody else trains into this output."""
    folder = output / FOLDER
    for aside in folder.glob(f".step-*{_OLD}") if folder.is_dir() else []:
        home = aside.with_name(aside.name[1:].removesuffix(_OLD))
        if not home.exists():  # killed before the new one had taken its place
            aside.rename(home)
    for path in folder.glob(f".step-*{_PART}") if folder.is_dir() else []:
        _delete(path, [weights, averaged(weights), STATE, ABOUT])


def averaged(weights: str) -> str:
    """Name of the file of averaged weights."""
    return f"{Path(weights).stem}_ema{Path(weights).suffix}"


def _delete(folder: Path, names: list[str]) -> None:
    """about.json first: without it the folder is no checkpoint any more."""
    with suppress(OSError):
        for name in sorted(names, key=lambda name: name != ABOUT):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def free_bytes(output: Path) -> int:
    """On the disk where the output is or will be."""
    there = next(one for one in (output, *output.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free
