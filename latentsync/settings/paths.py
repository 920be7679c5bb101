"""Which file a relative path in a YAML file means.

It is relative to the YAML file; where nothing is there, but something of that name in the current
folder, it is that. On the command line, and for the output, a path is relative to the current
folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

INPUT_PATHS = (
    *("input.video", "input.audio", "restore.reference", "restore.checkpoint", "weights.folders"),
    *("generate.checkpoint", "generate.vae", "generate.whisper", "generate.replay.source"),
)
"""Settings that are paths of what is read."""


def resolve_paths(file: dict[str, Any], folder: Path) -> None:
    """Puts the paths that are meant in the place of those in a YAML file's content.

    folder: of that file.
    """
    for key in INPUT_PATHS:
        *parents, name = key.split(".")
        section: Any = file
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if isinstance(section, dict) and name in section:
            value = section[name]
            several = isinstance(value, list)
            section[name] = (
                [_resolved(one, folder) for one in value] if several else _resolved(value, folder)
            )


def _resolved(value: Any, folder: Path) -> Any:
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    path = os.path.normpath(folder / value)
    there = os.path.exists  # Path's own raises for a name that is too long
    return value if there(value) and not there(path) else path
