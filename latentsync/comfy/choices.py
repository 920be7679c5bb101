"""The settings that a node's inputs stand for, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import folder_paths

from latentsync.comfy import model_files
from latentsync.comfy.errors import line_of
from latentsync.errors import ConfigError, LatentSyncError
from latentsync.face.detector import DETECTORS
from latentsync.generate.table import DEFAULT
from latentsync.settings.described import Setting, described
from latentsync.settings.load import load_config, split_override
from latentsync.settings.old_keys import RENAMED
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
    *("output.watermark", "weights.folders"),
)
"""What has no place in a node, or names code. Weights are searched in ComfyUI's own folders."""
SETTINGS = "settings"
NO_PRESET = "quality"
"""As without any."""
UNSET = ""
"""A text input that is left empty."""
_REMARK = re.compile(r"(^|\s)#.*")
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
        option = str(inputs["generator"])
        generator = model_files.chosen_generator(option)
        shipped = generator.settings
        if (option, generator.name) != (
            model_files.AUTO,
            DEFAULT,
        ):  # else a preset may name another
            flags["generate.name"] = generator.name
    flags["weights.folders"] = model_files.model_folders()
    flags |= {name.replace("__", "."): value for name, value in fixed.items()}
    lines = [*_lines(str(inputs.get(SETTINGS, UNSET))), *_texts(inputs)]
    config = load_config(shipped, [f"runtime.device={device}", *lines], flags=flags)
    detector = config.face.detector  # however it was written: a page may be open to others
    if detector.lower() not in DETECTORS:
        raise ConfigError("face.detector", detector, f"use one of {', '.join(DETECTORS)}")
    return config


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
    lines = _without_remarks(str(inputs.get(SETTINGS, UNSET)))
    named += [line.partition("=")[2].strip() for line in lines]
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
    path = Path(os.path.expanduser(text))  # noqa: PTH111  Path's own raises for unknown users
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
    speaker = str(inputs.get("speaker", UNSET)).strip()
    if speaker:
        _check_plain("speaker", speaker)
        yield "face.speaker", speaker
    for setting in _often():
        value = inputs.get(OWN[setting.key])
        if not is_text(setting) and value not in (None, setting.default):
            yield setting.key, value


def _texts(inputs: Mapping[str, Any]) -> Iterator[str]:
    """As key=value: what is read as on the command line, as the text of a number may be a word."""
    for setting in filter(is_text, _often()):
        value = str(inputs.get(OWN[setting.key], UNSET)).strip()
        if value not in (UNSET, str(setting.default)):
            text = f"{setting.key}={value}"
            _check_plain(OWN[setting.key], split_override(text)[1])
            yield text


def _lines(text: str) -> Iterator[str]:
    """The lines key=value of the text, each checked for its key."""
    for line in _without_remarks(text):
        written, value = split_override(line)
        plain = written.replace("-", "_")  # as it is read
        key, what = RENAMED[plain].key if plain in RENAMED else plain, f"{SETTINGS}: {written}"
        if key in OWN:
            raise ConfigError(what, value, f"use the input {OWN[key]} for it")
        if is_closed(key):
            raise ConfigError(what, value, "leave it out: it has no use in a node")
        if any(one.startswith(f"{key}.") for one in by_key()):
            raise ConfigError(what, value, "this is a section: set the keys below it, one a line")
        _check_plain(what, value)
        yield line


def _without_remarks(text: str) -> Iterator[str]:
    """Its lines that say something. As in YAML, # begins a remark after a space only."""
    for line in text.splitlines():
        line = _REMARK.sub("", line).strip()
        if line:
            yield line


def _check_plain(what: str, value: object) -> None:
    """Raises ConfigError for what stands for another setting or a variable of the environment,
    whose value would be shown."""
    if "${" in str(value):
        raise ConfigError(what, value, "write the value itself, without ${")
