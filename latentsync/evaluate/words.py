"""Numbers and moments as a reader sees them, in a terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

_LONG = 2.0  # seconds, from where a span is shown with both of its ends
_SHOWN = 3  # spans


def clock(seconds: float, *, tenths: bool = False) -> str:
    """31.4 -> "0:31", with tenths "0:31.4"; 3671 -> "1:01:11"; below 0: as 0."""
    total = round(max(seconds, 0) * 10) if tenths else math.floor(max(seconds, 0)) * 10
    minutes, rest = divmod(total, 600)
    hours, minutes = divmod(minutes, 60)
    whole = f"{rest // 10:02}" + (f".{rest % 10}" if tenths else "")
    return f"{hours}:{minutes:02}:{whole}" if hours else f"{minutes}:{whole}"


def places(spans: Sequence[Sequence[float]]) -> str:
    """[first, last] seconds of each span -> "at 0:31, from 0:40 to 0:44 and in 2 more places"."""
    shown = []
    for first, last in spans[:_SHOWN]:
        both = last - first >= _LONG
        shown.append(f"from {clock(first)} to {clock(last)}" if both else f"at {clock(first)}")
    more = len(spans) - len(shown)
    text = ", ".join(dict.fromkeys(shown))  # two within a second read the same
    return f"{text} and in {counted(more, 'more place')}" if more else text


def counted(count: int, what: str) -> str:
    """1, "frame" -> "1 frame"; 2000 -> "2,000 frames"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def decimals(value: float) -> int:
    """So many that three digits count, four decimals at most; two of what four show as 0."""
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 4) if abs(value) >= 5e-5 else 2


def shown(value: float, unit: str = "") -> str:
    """As many digits as the page has, without zeros at their end, and the unit; a correlation as
    "r 0.48"."""
    text = f"{value:.{decimals(value)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text == "-0":
        text = "0"
    return f"r {text}" if unit == "r" else f"{text} {unit}".rstrip()


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def capital(text: str) -> str:
    """As a sentence begins."""
    return text[:1].upper() + text[1:]
