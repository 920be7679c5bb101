"""The settings of a job as YAML that the command line takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

from latentsync.server.files.uploads import Files
from latentsync.settings.schema import Config

SETTINGS_FILE = "settings.yaml"
_LEFT_OUT = ("input", "weights", "runtime", "ckpt", "run", "optimizer", "speakers")
"""Sections of the server's own, or of files."""


def settings_text(config: Config, files: Files) -> str:
    """What differs from the defaults; files by the names that their user knows."""
    plain, defaults = dataclasses.asdict(config), dataclasses.asdict(Config())
    tree = _different(
        {key: value for key, value in plain.items() if key not in _LEFT_OUT}, defaults
    )
    tree["generate"] = {**tree.get("generate", {}), "name": config.generate.name}
    tree["input"] = {"video": files.video.view.name}
    if files.audio is not None:
        offset = config.input.audio_offset
        tree["input"] |= {"audio": files.audio.view.name, "audio_offset": offset}
    tree["output"] = {**tree.get("output", {}), "path": f"output/{_named(config)}"}
    if files.reference is not None:
        tree["restore"] = {**tree.get("restore", {}), "reference": files.reference.view.name}
    return str(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


def _named(config: Config) -> str:
    return str(config.output.path).rpartition("/")[2]


def _different(tree: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(defaults.get(key), dict) and defaults[key]:
            if inner := _different(value, defaults[key]):
                found[key] = inner
        elif value != defaults.get(key):
            found[key] = value
    return found
