"""The settings: how they are read and merged. The only place that knows OmegaConf.

Order of strength: command-line flag > ``key=value`` > preset named there > YAML file > preset named
in it > the defaults of schema.py. In one sentence: a preset stands just below what is written in
the same place. What each key means is explained where users meet it, in the YAML files under
``configs/``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from latentsync.errors import ConfigError
from latentsync.presets import preset_settings
from latentsync.schema import Config, check

PRESET = "preset"  # the key, at the top level


def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """The settings from a YAML file, ``key=value`` strings and command-line flags, checked.

    flags: dotted key -> value; None means "not given". Hyphens in keys count as underscores.
    Raises ConfigError: file missing or not YAML, unknown key, wrong type, value out of range,
        impossible combination.
    """
    merged = OmegaConf.structured(Config)
    file = {} if path is None else _read_yaml(Path(path))
    settings = _nested([_split_override(text) for text in overrides])
    given = _nested([(k, v) for k, v in (flags or {}).items() if v is not None])
    for layer in _with_presets(file, settings, given):
        _reject_unknown_keys(layer, Config)
        for key, value in _leaves(layer):
            try:
                OmegaConf.update(merged, key, value)
            except OmegaConfBaseException as error:
                reason = str(error).splitlines()[0].rstrip(".")
                raise ConfigError(key, value, reason[:1].lower() + reason[1:]) from None
    config = cast(Config, OmegaConf.to_object(merged))
    check(config)
    return config


def _with_presets(
    file: dict[str, Any], settings: dict[str, Any], flags: dict[str, Any]
) -> list[dict[str, Any]]:
    """All layers, the weakest first. A preset named on the command line takes the file's place."""
    asked = [layer[PRESET] for layer in (flags, settings) if PRESET in layer]
    command = _preset(asked[0]) if asked else {}
    below = {} if asked else _preset(file.get(PRESET))
    return [below, file, command, settings, flags]


def _preset(name: object) -> dict[str, Any]:
    return {} if name is None else _nested(list(preset_settings(name).items()))


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError("configuration file not found", path, "check --config; see configs/")
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("configuration file cannot be read", path, reason) from None
    if not isinstance(content, dict):
        raise ConfigError("configuration file holds no settings", path, "see configs/demo.yaml")
    return {str(key): value for key, value in content.items()}


def _split_override(text: str) -> tuple[str, Any]:
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


def _nested(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for dotted, value in pairs:
        *parents, last = _normal(dotted).split(".")
        node = tree
        for name in parents:
            child = node.setdefault(name, {})
            if not isinstance(child, dict):
                raise ConfigError(dotted, value, f"{name} is given a value of its own as well")
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
    known = all_keys()
    leaf = key.rsplit(".", 1)[-1]
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    close = difflib.get_close_matches(key, same_leaf or known, n=1, cutoff=0.0)
    return f"did you mean {close[0]}?"


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
"""Keys whose value is text even where YAML would read a number or a truth value."""
