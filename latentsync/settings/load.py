"""Reads and merges the settings. The only module that imports OmegaConf.

Precedence, highest first: command-line flag, ``key=value``, preset named on the command line, YAML
file, preset named in it, defaults of schema.py. So a preset is overridden by what is written in the
same place. A renamed key (old_keys.RENAMED) has the precedence of the place where it is written; if
both names are written in one place, the new one wins. ``configs/demo.yaml`` documents every key,
paths.py how its relative paths are resolved.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from latentsync.errors import ConfigError
from latentsync.places import shipped_config
from latentsync.settings.checks import check
from latentsync.settings.lengths import use_one_length
from latentsync.settings.old_keys import RENAMED, REPLACED, RETIRED, Renamed
from latentsync.settings.paths import resolve_paths
from latentsync.settings.presets import preset_settings
from latentsync.settings.schema import COMPAT, Config

logger = logging.getLogger(__name__)

PRESET = "preset"  # the key, at the top level
_ABSENT = object()


def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """The settings from a YAML file, ``key=value`` strings and command-line flags, checked.

    flags: dotted key -> value; None means "not given". Hyphens in keys are read as underscores.
    If ``unet.yaml`` or ``configs/unet.yaml`` does not exist, the shipped file of that name is used.
    A renamed key that takes effect is logged, once, with its converted value.
    Raises ConfigError: file missing or not YAML, unknown key, wrong type, value out of range,
        impossible combination.
    """
    merged = deepcopy(_defaults())
    source = None if path is None else _located(Path(path))
    file = {} if source is None else read_yaml(source)
    settings = nested([split_override(text) for text in overrides])
    given = nested([(k, v) for k, v in (flags or {}).items() if v is not None])
    layers = _with_presets(file, settings, given)
    for notice in [*_use_new_keys(layers), *use_one_length(layers)]:
        logger.warning(notice)
    if source is not None:
        resolve_paths(file, source.parent)
    for layer in layers:
        _reject_unknown_keys(layer, Config)
        for key, value in _leaves(layer):
            try:
                OmegaConf.update(merged, key, value)
            except (OmegaConfBaseException, ValueError) as error:  # ValueError: a key of a list
                reason = str(error).splitlines()[0].rstrip(".")
                raise ConfigError(key, value, reason[:1].lower() + reason[1:]) from None
    config = cast(Config, OmegaConf.to_object(merged))
    check(config)
    return config


def config_of(settings: Mapping[str, Any]) -> Config:
    """The settings from plain data, as dataclasses.asdict makes it of checked ones.

    Raises ConfigError: they are of another version of this program.
    """
    try:
        merged = OmegaConf.merge(_defaults(), dict(settings))
    except (OmegaConfBaseException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError("settings of another version", reason, "add the job again") from None
    config = cast(Config, OmegaConf.to_object(merged))
    check(config)
    return config


@cache
def _defaults() -> DictConfig:
    """Kept, as making it takes longer than all else does, for each of thousands of jobs. Not to be
    changed: copy it."""
    return OmegaConf.structured(Config)


def _with_presets(
    file: dict[str, Any], settings: dict[str, Any], flags: dict[str, Any]
) -> list[dict[str, Any]]:
    """All layers, lowest precedence first. A preset on the command line replaces the file's."""
    asked = [layer[PRESET] for layer in (flags, settings) if PRESET in layer]
    command = _preset(asked[0]) if asked else {}
    below = {} if asked else _preset(file.get(PRESET))
    return [below, file, command, settings, flags]


def _use_new_keys(layers: Sequence[dict[str, Any]]) -> list[str]:
    """Replaces renamed keys, in place. Returns a sentence for each whose value is not overridden.

    layers: lowest precedence first. Raises ConfigError: a value that cannot be converted.
    """
    notices: dict[str, str] = {}
    for layer in layers:
        _drop_retired(layer)
        notices |= _drop_replaced(layer)
        for old, now in RENAMED.items():
            value = _take(layer, old)
            given = value is not _ABSENT
            section, name = _section(layer, now.key, create=given)
            if name in section:
                notices.pop(old, None)
            elif given:
                section[name] = _converted(old, value, now)
                notices[old] = _notice(old, value, now, section[name])
    return list(notices.values())


def _drop_retired(layer: dict[str, Any]) -> None:
    """Removes retired keys. Raises ConfigError for a value other than the only remaining one."""
    for old, meant in RETIRED.items():
        value = _take(layer, old)
        if value not in (_ABSENT, meant):
            raise ConfigError(
                old, value, f"this setting was removed; for LatentSync's output use compat={COMPAT}"
            )


def _drop_replaced(layer: dict[str, Any]) -> dict[str, str]:
    """Removes replaced keys. Returns by key a sentence that says what to use now."""
    found = {old: value for old in REPLACED if (value := _take(layer, old)) is not _ABSENT}
    return {
        old: f"{old} ({value}) has no effect any more: use {REPLACED[old]}"
        for old, value in found.items()
    }


def _take(tree: dict[str, Any], key: str) -> Any:
    """Removes a dotted key, and sections that become empty. Returns its value, or _ABSENT."""
    first, _, rest = key.partition(".")
    if not rest:
        return tree.pop(first, _ABSENT)
    section = tree.get(first)
    value = _take(section, rest) if isinstance(section, dict) else _ABSENT
    if value is not _ABSENT and not section:
        del tree[first]
    return value


def _section(tree: dict[str, Any], key: str, *, create: bool = False) -> tuple[dict[str, Any], str]:
    """The mapping that holds, or would hold, the last name of a dotted key, and that name.

    If it does not exist, an empty one is returned; create=True also puts it into the tree.
    """
    *parents, name = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {}) if create else node.get(parent)
        node = child if isinstance(child, dict) else {}
    return node, name


def _converted(old: str, value: Any, now: Renamed) -> Any:
    if now.convert is None:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        return now.convert(float(value))
    except (TypeError, ValueError):
        raise ConfigError(old, value, f"use a number, or set {now.key}") from None


def _notice(old: str, value: Any, now: Renamed, taken: Any) -> str:
    if now.convert is None:
        return f"{old} was renamed to {now.key}"
    return (
        f"{old} ({now.because}) was replaced by {now.key}: using {taken:g} {now.unit} for {value}"
    )


def _preset(name: object) -> dict[str, Any]:
    return {} if name is None else nested(list(preset_settings(name).items()))


def _located(path: Path) -> Path:
    if path.is_file():
        return path
    shipped = shipped_config(path)
    if shipped is None:
        raise ConfigError("configuration file not found", path, "check --config; see configs/")
    logger.info("using the shipped %s", path.name)
    return shipped


def read_yaml(path: Path) -> dict[str, Any]:
    """The content as plain data, with its references resolved. Raises ConfigError."""
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("configuration file cannot be read", path, reason) from None
    if not isinstance(content, dict):
        raise ConfigError("configuration file holds no settings", path, "see configs/demo.yaml")
    return {str(key): value for key, value in content.items()}


def split_override(text: str) -> tuple[str, Any]:
    """Key and value of key=value, the value as YAML reads it. Raises ConfigError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            "not understood", text, "write settings as key=value, flags as --flag value"
        )
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        return key.strip(), value
    is_text = isinstance(parsed, bool | int | float) and _normal(key) in TEXT_KEYS
    return key.strip(), value if is_text else parsed


def nested(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Dotted keys with their values -> sections. Raises ConfigError."""
    tree: dict[str, Any] = {}
    for dotted, value in pairs:
        *parents, last = _normal(dotted).split(".")
        node = tree
        for name in parents:
            child = node.setdefault(name, {})
            if not isinstance(child, dict):
                raise ConfigError(
                    dotted, value, f"{name} is also given a value of its own; leave one of them out"
                )
            node = child
        node[last] = value
    return tree


def _reject_unknown_keys(tree: Mapping[str, Any], schema: Any, prefix: str = "") -> None:
    known = {f.name: f for f in fields(schema)}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in known:
            leaf = _leaves(value, f"{key}.")[0][0] if value else key
            raise ConfigError("unknown key", leaf, _nearest_key(leaf))
        section = getattr(schema(), name)
        if is_dataclass(section):
            if not isinstance(value, Mapping):
                raise ConfigError(key, value, "this is a section; set the keys below it")
            _reject_unknown_keys(value, type(section), f"{key}.")


def _nearest_key(key: str) -> str:
    known = [*all_keys(), *RENAMED]
    leaf = key.rsplit(".", 1)[-1]
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    close = difflib.get_close_matches(key, same_leaf or known, n=1, cutoff=0.0)[0]
    return f"did you mean {RENAMED[close].key if close in RENAMED else close}?"


def all_keys() -> list[str]:
    """Every dotted key of the schema, in order of definition."""
    return [key for key, _ in _leaves(OmegaConf.to_container(OmegaConf.structured(Config)))]


def _leaves(tree: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        return [leaf for k, v in tree.items() for leaf in _leaves(v, f"{prefix}{k}.")]
    return [(prefix.rstrip("."), tree)]


def _normal(key: str) -> str:
    return key.strip().replace("-", "_")


def _text_keys(section: Any, prefix: str = "") -> list[str]:
    keys = []
    for one in fields(section):
        value = getattr(section, one.name)
        if is_dataclass(value):
            keys += _text_keys(value, f"{prefix}{one.name}.")
        elif str(one.type).startswith("str"):
            keys.append(prefix + one.name)
    return keys


TEXT_KEYS = frozenset(_text_keys(Config()))
"""Keys whose value is text even if YAML would read it as a number or a boolean."""
