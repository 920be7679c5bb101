"""One figure in a few words of a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentsync.evaluate.words import shown

MORE_AND_LESS: dict[str, tuple[str, str, str]] = {}
"""Figure that is a ratio -> what is said above 1, below 1, and where neither is sure."""


def phrase(name: str, figure: Mapping[str, Any]) -> str:
    """ "4 % softer than the face"; of other figures their title and value."""
    if name in MORE_AND_LESS:
        return _compared(figure, *MORE_AND_LESS[name])
    return f"{small(figure['title'])} {shown(figure['value'], figure['unit'])}"


def small(title: str) -> str:
    """Within a sentence; a name such as SyncNet keeps its capital."""
    names = title[1:2].isupper() or any(letter.isupper() for letter in title.split(" ")[0][1:])
    return title if names else title[:1].lower() + title[1:]


def _compared(figure: Mapping[str, Any], more: str, less: str, equal: str) -> str:
    """more, less: with {} for the difference in per cent."""
    low, value, high = (figure[one] for one in ("low", "value", "high"))
    unsure = low is not None and low <= 1 <= high
    percent = round(100 * abs(value - 1))
    if unsure or not percent:
        return equal
    return (more if value > 1 else less).format(f"{percent} %")
