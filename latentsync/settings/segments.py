"""Reads the speeches of several speakers: the list ``speakers`` in a YAML file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from latentsync.errors import ConfigError
from latentsync.settings.paths import resolve_paths

REMEDY = "it is a list of entries such as {speaker: left, audio: anna.wav, start: 0, end: 4.2}"


def read_segments(path: Path) -> list[dict[str, Any]]:
    """The entries; paths of audio files are relative to the file. Raises ConfigError."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("the file of segments cannot be read", path, reason) from None
    listed = content.get("speakers") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not listed or not all(isinstance(e, dict) for e in listed):
        raise ConfigError("the file holds no segments", path, REMEDY)
    resolve_paths({"speakers": listed}, path.parent)
    return listed
