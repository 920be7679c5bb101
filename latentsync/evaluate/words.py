"""Numbers and moments as a reader sees them."""

from __future__ import annotations

from collections.abc import Sequence

_LONG = 2.0  # seconds, from where a span is shown with both of its ends
_SHOWN = 3  # spans


def clock(seconds: float) -> str:
    """31.4 -> "0:31"; 3671 -> "1:01:11"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
    return f"{count} {what}{'' if count == 1 else 's'}"


def shown(value: float, unit: str = "") -> str:
    """Three digits, and the unit; a correlation as "r 0.48"."""
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    if "e" in text:
        text = f"{value:.4f}".rstrip("0").rstrip(".")
    if text in ("-0", ""):
        text = "0"
    return f"r {text}" if unit == "r" else f"{text} {unit}".rstrip()


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def capital(text: str) -> str:
    """As a sentence begins."""
    return text[:1].upper() + text[1:]
