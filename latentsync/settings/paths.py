"""How a relative path in a YAML file is resolved.

It is relative to the YAML file or, if it exists only in the current folder, to that. On the command
line, and for the output, a path is always relative to the current folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from latentsync.settings.schema import TAESD

INPUT_PATHS = (
    *("input.video", "input.audio", "restore.reference", "restore.checkpoint", "weights.folders"),
    *("generate.checkpoint", "generate.vae", "generate.whisper", "generate.lora"),
    "generate.replay.source",
    *("output.soundtrack", "output.sign.cert", "output.sign.key", "speakers.audio"),
)
"""Settings that are paths of input files and folders; below speakers, of each entry."""
INPUT_FILES = ("input.video", "input.audio", "restore.reference", "generate.replay.source")
"""The videos and the audio among them; below speakers there may be more."""
WORDS = (("generate.vae", TAESD),)
"""A setting that may be a path, and a value of it that is none."""
PICTURES = ("face.speaker", "speakers.speaker")
"""Settings that may be the path of a picture: resolved where the file is there."""


def resolve_paths(file: dict[str, Any], folder: Path) -> None:
    """Replaces the input paths in a YAML file's content by resolved ones, in place.

    folder: of the YAML file.
    """
    for key in (*INPUT_PATHS, *PICTURES):
        *parents, name = key.split(".")
        section: Any = file
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        for one in section if isinstance(section, list) else [section]:
            if isinstance(one, dict) and name in one and (key, one[name]) not in WORDS:
                path, is_file = resolved(one[name], folder), os.path.isfile
                if key not in PICTURES or is_file(str(path)):
                    one[name] = path


def absolute(config: dict[str, Any]) -> None:
    """Makes the paths in a configuration independent of the current folder, in place."""
    resolve_paths(config, Path.cwd())
    if (output := config["output"]["path"]) is not None:
        config["output"]["path"] = os.path.abspath(output)  # noqa: PTH100  it takes ".." out


def resolved(value: Any, folder: Path) -> Any:
    """A path, or a list of them, of a file in that folder; other values as they are."""
    if isinstance(value, list):
        return [resolved(one, folder) for one in value]
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    path = os.path.normpath(folder / value)
    exists = os.path.exists  # Path.exists raises for a name that is too long
    return value if exists(value) and not exists(path) else path
