"""The settings that a node's inputs stand for, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import folder_paths

from latentsync.comfy import model_files
from latentsync.comfy.errors import line_of
from latentsync.errors import ConfigError, LatentSyncError
from latentsync.settings.described import Setting, described
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config

OFTEN = (
    *("restore.when", "restore.strength", "restore.region", "restore.fidelity"),
    *("generate.steps", "generate.guidance", "generate.seed", "generate.silence"),
    *("output.length", "output.mix", "output.crf"),
)
"""Settings with an input of their own; all others are lines of the input `settings`. Their order is
kept for ever, and new ones go to the end of a node: saved workflows hold values by their place."""
OWN = {
    "input.video": "video",
    "input.audio": "speech",
    "restore.name": "restorer",
    "restore.reference": "reference",
    "generate.name": "generator",
    "face.speaker": "speaker",
    "preset": "preset",
    "output.report": "report",
    **{key: key.replace(".", "_") for key in OFTEN},
}
"""Settings -> the input that stands for them: not for the text."""
CLOSED = (
    *("output.path", "output.overwrite", "output.compare", "output.evaluate", "speakers"),
    "output.watermark",
)
"""What has no place in a node, or names code."""
SETTINGS = "settings"
NO_PRESET = "quality"
"""As without any."""
UNSET = ""
"""A text input that is left empty."""
Text = str | None
"""None: not given, or by another node."""


def config_of(inputs: Mapping[str, Any], device: str = "auto", **fixed: Any) -> Config:
    """The settings. inputs: id -> value, those that were given; others are ignored.

    device: runtime.device, if the user names none. fixed: dotted keys with ``__`` for the dot.
    Raises ConfigError for what is not allowed.
    """
    flags = dict(_given(inputs))
    shipped = None
    if "generator" in inputs:
        generator = model_files.chosen_generator(str(inputs["generator"]))
        shipped = generator.settings
        if generator.name != Config().generate.name:  # else a preset may name another one
            flags["generate.name"] = generator.name
    flags["weights.folders"] = model_files.model_folders()
    flags |= {name.replace("__", "."): value for name, value in fixed.items()}
    lines = [f"runtime.device={device}", *_lines(str(inputs.get(SETTINGS, UNSET)))]
    return load_config(shipped, [*lines, *_texts(inputs)], flags=flags)


def verdict(**inputs: Text) -> bool | str:
    """For validate_inputs: whether these inputs fit, or why not.

    ComfyUI repeats the line for each input that validate_inputs names, so that is the texts and
    the options whose labels change; the others are checked when the node runs.
    """
    known = {name: value for name, value in inputs.items() if value is not None}
    try:
        config_of(known)
        speech_path(known)
    except LatentSyncError as error:
        return line_of(error)
    return True


def speech_path(inputs: Mapping[str, Any]) -> Path | None:
    """The file that the input speech_file names; None: it is left empty. Raises ConfigError."""
    given = str(inputs.get("speech_file") or UNSET).strip()
    if not given:
        return None
    path = _placed(given)
    if path is None or not path.is_file():
        remedy = "give a whole path, or the name of a file in ComfyUI's input folder"
        raise ConfigError("speech_file: no such file", path or given, remedy)
    return path


def fingerprint(inputs: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Path, time of change and size of each file that an input names as text: ComfyUI sees the
    text only, and would not notice another content."""
    named = [
        str(value) for key, value in inputs.items() if isinstance(value, str) and key != SETTINGS
    ]
    named += [line.partition("=")[2].strip() for line in str(inputs.get(SETTINGS, "")).splitlines()]
    paths = [path for text in filter(None, named) for path in (Path(text), _placed(text)) if path]
    return [mark for path in dict.fromkeys(paths) if (mark := _mark(path)) is not None]


def _mark(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):  # no file, or no name of one
        return None
    return str(path), status.st_mtime_ns, status.st_size


def _placed(text: str) -> Path | None:
    """The path that a text names: a whole one, or one in ComfyUI's input folder; None: it leads out
    of that folder."""
    path = Path(text).expanduser()
    if path.is_absolute():
        return path
    try:
        return Path(folder_paths.get_annotated_filepath(text))
    except ValueError:
        return None


@cache
def by_key() -> dict[str, Setting]:
    """All settings, by dotted key."""
    return {one.key: one for one in described()}


def is_closed(key: str) -> bool:
    """Whether a setting cannot be set in a node at all."""
    return key.startswith(CLOSED)


def _often() -> list[Setting]:
    return [by_key()[key] for key in OFTEN]


def is_text(setting: Setting) -> bool:
    """Whether its input is a text: a number that may be a word, or be missing, is one."""
    plain = setting.kind in ("choice", "bool")
    number = setting.kind in ("int", "float") and not setting.words and not setting.optional
    return not plain and not number


def _given(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Key and value of each input that is a number, a switch or a choice, and not its default: a
    preset holds for those."""
    if "restorer" in inputs:
        yield "restore.name", model_files.chosen_restorer(str(inputs["restorer"]))
    if inputs.get("preset", NO_PRESET) != NO_PRESET:
        yield "preset", inputs["preset"]
    if str(inputs.get("speaker", UNSET)).strip():
        yield "face.speaker", str(inputs["speaker"]).strip()
    if "report" in inputs:
        yield "output.report", bool(inputs["report"])
    for setting in _often():
        value = inputs.get(OWN[setting.key])
        if not is_text(setting) and value not in (None, setting.default):
            yield setting.key, value


def _texts(inputs: Mapping[str, Any]) -> Iterator[str]:
    """As key=value: what is read as on the command line, as the text of a number may be a word."""
    for setting in filter(is_text, _often()):
        value = str(inputs.get(OWN[setting.key], UNSET)).strip()
        if value not in (UNSET, str(setting.default)):
            yield f"{setting.key}={value}"


def _lines(text: str) -> Iterator[str]:
    """The lines key=value of the text, each checked for its key; # begins a remark."""
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        key, _, value = (part.strip() for part in line.partition("="))
        if key in OWN:
            raise ConfigError(f"{SETTINGS}: {key}", value, f"use the input {OWN[key]} for it")
        if is_closed(key):
            raise ConfigError(f"{SETTINGS}: {key}", value, "leave it out: it has no use in a node")
        if key == "face.detector" and ":" in value:
            raise ConfigError(f"{SETTINGS}: {key}", value, "name a built-in detector, not a module")
        yield line
