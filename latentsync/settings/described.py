"""Every setting as a value: its kind, default, choices and range, and what it does in sentences.

Names and defaults are those of schema.py, choices and ranges those of checks.py, and explanations
are the comments of configs/demo.yaml. Forms, tool tips and descriptions of an API are made of it.
"""

from __future__ import annotations

import operator
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from latentsync.errors import ConfigError
from latentsync.places import shipped_config
from latentsync.settings.checks import CHOICES, RANGES, WORDS
from latentsync.settings.paths import INPUT_PATHS
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import COMPAT, Config

Kind = Literal["bool", "int", "float", "text", "choice", "numbers", "list"]

MOST_NUMBERS = 8
"""In a setting of kind "numbers", a list of them."""
_EXPLAINED = Path("demo.yaml")
_PLACES = (*INPUT_PATHS, "output.path")
_MORE_CHOICES: dict[str, Sequence[str]] = {"preset": tuple(PRESETS), "compat": (COMPAT,)}
_KINDS: tuple[tuple[str, Kind], ...] = (
    *(("bool", "bool"), ("list[float]", "numbers"), ("list", "list")),
    *(("float", "float"), ("int", "int"), ("str", "text")),
)
"""Part of an annotation -> kind; the first that is found."""
_OF_THE_COMMAND = re.compile(
    r"\s*\b(?:Flags?: |The flag |The old (?:key|word)s? ).*?\.(?=\s|$)", re.S
)
"""Sentences that only help at a command line or with an older file."""
_LINE_END = "\n"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. key: dotted. about: sentences; an example is indented, on lines of its own.

    choices: all values of kind "choice". low, high: range of a number, both included; None: none is
    stated. words: values of a number that are words instead. optional: whether it may be None.
    path: whether it holds the path of a file, or several. section: the first part of the key; "":
    it has one part only.
    """

    key: str
    kind: Kind
    default: Any
    about: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    optional: bool = False
    path: bool = False

    @property
    def section(self) -> str:
        return self.key.rpartition(".")[0].partition(".")[0]

    def schema(self) -> dict[str, Any]:
        """JSON Schema of its values."""
        about = {"description": self.about, "default": self.default}
        allowed = [self._values(), *({"enum": [word]} for word in self.words)]
        if self.optional:
            allowed.append({"type": "null"})
        return {**(allowed[0] if len(allowed) == 1 else {"anyOf": allowed}), **about}

    def _values(self) -> dict[str, Any]:
        if self.kind == "choice":
            return {"type": "string", "enum": list(self.choices)}
        if self.kind == "numbers":
            return {"type": "array", "items": {"type": "number"}, "maxItems": MOST_NUMBERS}
        kinds = {"bool": "boolean", "int": "integer", "float": "number", "list": "array"}
        ends = {"minimum": self.low, "maximum": self.high}
        return {
            "type": kinds.get(self.kind, "string"),
            **{name: end for name, end in ends.items() if end is not None},
        }


@cache
def described() -> tuple[Setting, ...]:
    """All settings, in the order of configs/demo.yaml. Raises ConfigError: that file is missing."""
    annotated = dict(_annotations(Config()))
    return tuple(_described(key, annotated[key], about) for key, about in _explanations().items())


def settings_schema(allowed: Callable[[str], bool]) -> dict[str, Any]:
    """JSON Schema of an object with dotted keys; allowed: whether a key may be in it."""
    kept = {one.key: one.schema() for one in described() if allowed(one.key)}
    return {"type": "object", "additionalProperties": False, "properties": kept}


def _described(key: str, annotation: str, about: str) -> Setting:
    choices = tuple(CHOICES.get(key, _MORE_CHOICES.get(key, ())))
    kind = next(kind for part, kind in _KINDS if part in annotation)
    low, high = RANGES.get(key, (None, None))
    return Setting(
        key=key,
        kind="choice" if choices else kind,
        default=operator.attrgetter(key)(Config()),
        about=about,
        choices=choices,
        low=low,
        high=high,
        words=(WORDS[key],) if key in WORDS else (),
        optional="None" in annotation,
        path=any(place == key or place.startswith(f"{key}.") for place in _PLACES),
    )


def _annotations(section: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and annotation of every field."""
    for one in fields(section):
        value = getattr(section, one.name)
        if is_dataclass(value):
            yield from _annotations(value, f"{prefix}{one.name}.")
        else:
            yield prefix + one.name, str(one.type)


def _explanations() -> dict[str, str]:
    """Dotted key -> the comment above it, without what only a command line needs."""
    path = shipped_config(_EXPLAINED)
    if path is None:
        where = "install the package again, or restore configs/demo.yaml"
        raise ConfigError("the explanations of the settings are missing", _EXPLAINED, where)
    text = path.read_text("utf-8")
    return dict(_explained(text.splitlines(), yaml.compose(text, yaml.SafeLoader)))


def _explained(
    lines: Sequence[str], node: yaml.MappingNode, prefix: str = ""
) -> Iterator[tuple[str, str]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode):
            yield from _explained(lines, value, f"{name}.")
        else:
            yield name, _comment_above(lines, key.start_mark.line)


def _comment_above(lines: Sequence[str], line: int) -> str:
    """line: number of the key's line, from 0. Only indented lines stay lines."""
    first = line
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    rows = textwrap.dedent("\n".join(row.strip()[1:] for row in lines[first:line])).splitlines()
    text = "".join(f"{_LINE_END if row.startswith(' ') else ' '}{row}" for row in rows)
    return _OF_THE_COMMAND.sub("", text).strip()
