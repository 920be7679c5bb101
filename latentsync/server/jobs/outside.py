"""Which settings may come from outside, and their check, worded as that of the command.

What may be set is listed by its kind: numbers, lists of them, switches and choices. A text may be
the name of a file, of a module, or anything else, so only those named here may be set: a new
setting that is a path is refused from the day it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError
from latentsync.face.detector import DETECTORS
from latentsync.face.speaker_choice import KEY as SPEAKER
from latentsync.face.speaker_choice import WORDS, parse_speaker
from latentsync.generate.table import GENERATORS
from latentsync.restoration.base import RESTORERS
from latentsync.server.errors import ApiError
from latentsync.settings.described import MOST_NUMBERS, Setting, described
from latentsync.settings.load import load_config
from latentsync.settings.old_keys import RENAMED
from latentsync.settings.schema import Config

CODE = "setting"
TEXTS = (
    *("restore.name", "generate.name", "face.detector", SPEAKER),
    *("output.fps", "output.pix_fmt", "output.mix", "output.aigc.producer"),
)
"""Settings that are texts, and no paths."""
PLUGINS = {
    "restore.name": (*RESTORERS, "none"),
    "generate.name": tuple(GENERATORS),
    "face.detector": tuple(DETECTORS),
}
"""Settings that name code: what is built in, but no module."""
OF_THE_SERVER = (
    *("weights.", "runtime.", "output.sign.", "generate.lora"),
    *("output.overwrite", "output.report", "output.evaluate"),
)
"""What these begin with is the server's own business."""
HARMLESS = ("runtime.precision",)
LONGEST = 500
"""Characters of a value."""
LONGEST_KEY = 100
DEEPEST = 4
"""Levels of nested settings."""


def may_be_set(key: str) -> bool:
    """Whether requests may set a setting, by its dotted key."""
    setting = _settings().get(_now(key))
    if setting is None or (key.startswith(OF_THE_SERVER) and key not in HARMLESS):
        return False
    return setting.kind not in ("text", "list") or setting.key in TEXTS


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with plain dotted keys. Nested ones, as in a YAML file, are accepted.

    Raises ApiError (422): one that does not exist, or may not be set, or not to that value.
    configured() says whether the values fit.
    """
    plain = {key: value for key, value in _flat(settings) if value is not None}
    for key, value in plain.items():
        _check_key(key, value)
        _check_value(key, value)
    return plain


def configured(path: Path | None, flags: Mapping[str, Any], field: str | None = None) -> Config:
    """As load_config. field: of the request, where the error names no setting.

    Raises ApiError (422).
    """
    try:
        return load_config(path, flags=flags)
    except ConfigError as error:
        raise as_api_error(error, field) from error


def as_api_error(error: ConfigError, field: str | None = None) -> ApiError:
    named = error.what if error.what in _settings() or error.what == "preset" else None
    return ApiError(422, CODE, str(error), named or field)


def _check_key(key: str, value: Any) -> None:
    if may_be_set(key):
        return
    if len(key) > LONGEST_KEY or not key.isprintable():  # looking for the one meant takes long
        message = f"unknown key: {key[:LONGEST_KEY]!r}...; see the list of settings"
        raise ApiError(422, CODE, message, key[:LONGEST_KEY])
    if key not in _settings():
        configured(None, {key: _short(value)}, field=key)  # it says which one may be meant
    message = f"{key}: {_short(value)}; leave it out: it cannot be set from outside"
    raise ApiError(422, CODE, message, key)


def _check_value(key: str, value: Any) -> None:
    if isinstance(value, list) and _settings()[_now(key)].kind == "numbers":
        _check_numbers(key, value)
        return
    if not isinstance(value, bool | int | float | str):
        message = f"{key}: {_short(value)}; use a number, a text, true or false"
        raise ApiError(422, CODE, message, key)
    text = str(value)
    if len(text) > LONGEST or not text.isprintable() or "${" in text:
        message = f"{key}: {text[:LONGEST]!r}; use at most {LONGEST} characters, without ${{"
        raise ApiError(422, CODE, message, key)
    if key in PLUGINS and text.lower() not in map(str.lower, PLUGINS[key]):
        message = f"{key}: {value}; use one of {', '.join(PLUGINS[key])}"
        raise ApiError(422, CODE, message, key)
    if _now(key) == SPEAKER:
        check_speaker(text, key)


def _check_numbers(key: str, values: list[Any]) -> None:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    if not numbers or len(values) > MOST_NUMBERS:
        message = f"{key}: {_short(values)}; use a list of numbers, such as [0.2, 0.8]"
        raise ApiError(422, CODE, message, key)


def _now(key: str) -> str:
    """The key by its present name."""
    return RENAMED[key].key if key in RENAMED else key


def check_speaker(value: str, field: str) -> None:
    """Raises ApiError (422) for anything but a word, a number or a place: the same for a file that
    is there and one that is not."""
    try:
        if parse_speaker(value).kind != "picture":
            return
    except ConfigError:
        pass
    words, shown = ", ".join(WORDS), value[:LONGEST] if value.isprintable() else repr(value)
    message = f"{field}: {shown}; use {words}, a number (1: who appears first), x,y or x,y@seconds"
    raise ApiError(422, CODE, message, field)


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


@cache
def _settings() -> dict[str, Setting]:
    return {one.key: one for one in described()}


def _flat(tree: Mapping[str, Any], prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """Dotted keys and their values. What is deeper than any setting stays as it is, and is refused
    as a value."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and depth < DEEPEST:
            found += _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            found.append((f"{prefix}{key}", value))
    return found
