"""Numbers, times and judgements as a reader of the page sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

GROUPS = {"sync": "Sync", "mouth": "Mouth", "seam": "Seam", "rest": "Rest of the frame"}
"""Groups of figures, in the order in which they are shown."""
GRADES = {"good": "✓", "fair": "~", "poor": "!", "unknown": "?"}
"""Grades, the best first, each with the sign that it has beside its colour."""
NOTHING = "–"
"""Stands where a value is not known."""


def clock(seconds: float, *, tenths: bool = False) -> str:
    """61.3 -> "1:01", with tenths "1:01.3"; an hour or more: "1:00:00"."""
    total = round(max(seconds, 0) * 10) if tenths else math.floor(max(seconds, 0)) * 10
    minutes, rest = divmod(total, 600)
    hours, minutes = divmod(minutes, 60)
    whole = f"{rest // 10:02d}" + (f".{rest % 10}" if tenths else "")
    return f"{hours}:{minutes:02d}:{whole}" if hours else f"{minutes}:{whole}"


def decimals(value: float) -> int:
    """So many that three digits count, four decimals at most; two of what four show as 0."""
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 4) if abs(value) >= 5e-5 else 2


def number(value: float | None, digits: int | None = None) -> str:
    """digits: after the point; None: so many that three digits count."""
    if value is None:
        return NOTHING
    text = f"{value:.{decimals(value) if digits is None else digits}f}"
    bare = text.lstrip("-")
    return f"−{bare}" if text.startswith("-") and float(bare) else bare


def with_unit(text: str, unit: str) -> str:
    """A no-break space keeps the unit beside its number; a correlation reads "r 0.48"."""
    if not unit or text == NOTHING:
        return text
    return f"r\u00a0{text}" if unit == "r" else f"{text}\u00a0{unit}"


def interval(figure: Mapping[str, Any]) -> str:
    """Of a figure or of a difference, as finely as its value; no interval: a dash."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return NOTHING
    scale = figure.get("value") or figure.get("difference") or high or low
    digits = decimals(scale)
    return f"{number(low, digits)}\u00a0to {number(high, digits)}"


def direction(better: str, goal: float | None) -> str:
    """Which way is better; goal: what is best, where better is "near"."""
    if better != "near":
        return f"{better} is better"
    best = goal or 0.0
    return f"best near {number(best, 0 if best == round(best) else None)}"


def count(amount: int, thing: str) -> str:
    """1, "frame" -> "1 frame"; 2 -> "2 frames"."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def called(name: str) -> str:
    """A key of the JSON as words: face_left_alone -> "face left alone"."""
    return name.replace("_", " ")


def headline(text: str) -> str:
    """With a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def file_name(path: str | None) -> str:
    """The last part of a path of any system."""
    return (path or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
