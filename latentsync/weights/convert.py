"""Converts PyTorch's pickled format to safetensors, which holds no code and loads faster."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from latentsync.errors import CheckpointError
from latentsync.places import part_file
from latentsync.weights import record
from latentsync.weights.find import converted_path
from latentsync.weights.load import is_safetensors, read_state_dict

ORIGIN = "sha256 of the file that this was converted from"
LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


def convert(path: Path) -> Path:
    """Writes the unchanged tensors of a weights file to a new file beside it; returns that.

    Needs as much memory as the file is large. Raises CheckpointError: not a weights file, already
    in the format, or the folder cannot be written.
    """
    if is_safetensors(path):
        raise CheckpointError("already in safetensors", path, "no conversion is needed")
    state = {key: value.contiguous() for key, value in read_state_dict(path).items()}
    target = converted_path(path)
    try:
        with part_file(target) as part:
            save_file(state, part, metadata={ORIGIN: record.sha256(path)})
        record.sha256(target)  # for a later --verify
    except OSError as error:
        remedy = "free some space, or make the folder writable"
        raise CheckpointError("cannot convert", f"{path} ({error.strerror})", remedy) from None
    return target


def made_from(path: Path) -> str | None:
    """The original's sha256 in the metadata of a converted file; None: there is none."""
    if not is_safetensors(path):
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            return None
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return None
    about = header.get("__metadata__") if isinstance(header, dict) else None
    return about.get(ORIGIN) if isinstance(about, dict) else None
