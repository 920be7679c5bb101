"""Readable JSON: values that fit are on one line, and so is every array of numbers."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 120  # columns


def compact_json(value: Any) -> str:
    """Other types become strings. Raises ValueError: NaN or infinity."""
    plain = json.loads(json.dumps(value, allow_nan=False, default=str))
    return _laid_out(plain, depth=0, column=0) + "\n"


def _laid_out(value: Any, *, depth: int, column: int) -> str:
    """depth: of the nesting, one space each. column: where the text begins."""
    line = json.dumps(value)
    fits = column + len(line) <= WIDTH
    if not isinstance(value, list | dict) or not value or fits or _is_numbers(value):
        return line
    if isinstance(value, dict):
        items = [(f"{json.dumps(name)}: ", item) for name, item in value.items()]
    else:
        items = [("", item) for item in value]
    margin = " " * (depth + 1)
    parts = [
        margin + name + _laid_out(item, depth=depth + 1, column=len(margin + name))
        for name, item in items
    ]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(parts) + f"\n{' ' * depth}{closing}"


def _is_numbers(value: Any) -> bool:
    """Whether it is a number, null, or an array of these, nested or not."""
    if isinstance(value, list):
        return all(map(_is_numbers, value))
    return value is None or isinstance(value, int | float)
