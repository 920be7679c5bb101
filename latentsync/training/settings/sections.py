"""Plain data from a YAML file -> the frozen dataclasses of the schema, with every key checked."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from latentsync.errors import ConfigError

Section = TypeVar("Section")

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def read_sections(schema: type[Section], tree: Mapping[str, Any], **given: Any) -> Section:
    """An object of the schema. Keys that are left out have its defaults.

    given: fields that are no settings. Raises ConfigError: unknown keys, all in one message; a
    value of another type.
    """
    tree = {name: value for name, value in tree.items() if value is not None}
    unknown = list(_unknown(schema, tree, given))
    if unknown:
        what = "unknown key" if len(unknown) == 1 else "unknown keys"
        near = [_nearest(key, all_keys(schema, without=given)) for key in unknown]
        raise ConfigError(what, ", ".join(unknown), f"did you mean {', '.join(near)}?")
    return _section(schema, tree, "", given)


def all_keys(schema: type, without: Mapping[str, Any] | None = None, prefix: str = "") -> list[str]:
    """Every dotted key, in order; of a section that is passed on as it is, its name."""
    keys: list[str] = []
    for name, kind in _types(schema).items():
        if is_dataclass(kind):
            keys += all_keys(kind, prefix=f"{prefix}{name}.")  # type: ignore[arg-type]
        elif name not in (without or {}):
            keys.append(f"{prefix}{name}")
    return keys


def _types(schema: type) -> dict[str, Any]:
    hints = get_type_hints(schema)
    return {one.name: hints[one.name] for one in fields(schema)}


def _unknown(schema: type, tree: Mapping[str, Any], given: Mapping[str, Any], at: str = "") -> Any:
    known = _types(schema)
    for name, value in tree.items():
        if name not in known or name in given:
            yield f"{at}{name}"
        elif is_dataclass(known[name]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{at}{name}", value, "this is a section; set the keys below it")
            yield from _unknown(known[name], value, {}, f"{at}{name}.")


def _nearest(key: str, known: Sequence[str]) -> str:
    leaf = key.rsplit(".", 1)[-1]
    leaves = {name.rsplit(".", 1)[-1]: name for name in reversed(known)}
    same = difflib.get_close_matches(leaf, list(leaves), n=1, cutoff=0.8)
    return leaves[same[0]] if same else difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]


def _section(schema: type, tree: Mapping[str, Any], at: str, given: Mapping[str, Any]) -> Any:
    values = dict(given)
    for name, kind in _types(schema).items():
        if name not in tree or name in given:
            continue
        key, value = f"{at}{name}", tree[name]
        if is_dataclass(kind):
            present = {leaf: one for leaf, one in value.items() if one is not None}
            values[name] = _section(kind, present, f"{key}.", {})  # type: ignore[arg-type]
        else:
            values[name] = _value(key, value, kind)
    return schema(**values)


def _value(key: str, value: Any, kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
        origin = get_origin(kind)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ConfigError(key, value, "a list is needed, as [a, b]")
        return tuple(_plain(key, one, get_args(kind)[0]) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(key, value, "this is a section; set the keys below it")
        return dict(value)
    return _plain(key, value, kind)


def _plain(key: str, value: Any, kind: type) -> Any:
    """YAML 1.1 reads 1e-5 as text, and a folder called 2024 as a number."""
    try:
        if kind is bool or isinstance(value, bool):
            if kind is bool and isinstance(value, bool):
                return value
        elif kind is str and isinstance(value, str | int | float):
            return str(value)
        elif (kind is float and isinstance(value, str | int | float)) or isinstance(value, kind):
            return kind(value)
    except ValueError:
        pass
    raise ConfigError(key, value, f"use {_WORDS[kind]}")
