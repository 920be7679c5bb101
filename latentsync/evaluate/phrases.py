"""One figure in a few words of a sentence, as its grade and its interval allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentsync.evaluate.words import shown

BY_GRADE: dict[str, tuple[str, str, str]] = {
    "lips_follow_prediction": (
        "lips follow the speech ({})",
        "lips follow the speech only loosely ({})",
        "lips do not follow the speech ({})",
    ),
    "lips_follow_own_prediction": (
        "they move as the speaker's own would ({})",
        "they move only roughly as the speaker's own would ({})",
        "they do not move as the speaker's own would ({})",
    ),
    "lips_move_in_speech": (
        "lips move while speech is heard",
        "lips move little while speech is heard ({})",
        "lips hardly move while speech is heard ({})",
    ),
    "lips_still_in_pauses": (
        "lips rest in pauses",
        "lips move in pauses nearly as much as in speech",
        "lips move in pauses as much as in speech",
    ),
    "sync_confidence": (
        "SyncNet is confident ({})",
        "SyncNet is not very confident ({})",
        "SyncNet finds no sync ({})",
    ),
    "flicker": ("steady from frame to frame", "flickers a little ({})", "flickers ({})"),
    "jitter_over_source": (
        "no more jitter than the source's",
        "some jitter ({} times the source's)",
        "jitter ({} times the source's)",
    ),
    "jitter_added": (
        "the restoration adds no jitter",
        "the restoration adds some jitter ({})",
        "the restoration adds jitter ({})",
    ),
    "akd_face": (
        "lips are where the source's are",
        "lips are a little beside the source's ({})",
        "lips are not where the source's are ({})",
    ),
    "colour_shift": (
        "the skin has the source's colour",
        "the skin's colour is a little off ({})",
        "the skin's colour is off ({})",
    ),
    "seam_colour": (
        "no edge in colour is seen",
        "a faint edge in colour ({})",
        "an edge in colour ({})",
    ),
    "seam_texture": (
        "no edge in texture is seen",
        "a faint edge in texture ({})",
        "an edge in texture ({})",
    ),
    "outside_equal": (
        "bit for bit the source's before the encode",
        *("not everywhere the source's, which is a bug",) * 2,
    ),
    "outside_psnr": (
        "as in the source ({})",
        "coded more coarsely than the source ({})",
        "not as in the source ({})",
    ),
}
"""Figure -> what is said where it is good, fair and poor, {} for its value."""

EITHER_SIDE: dict[str, tuple[str, str, str]] = {
    "lip_delay": ("lips are {} late", "lips are {} early", "lips are on time"),
    "sync_offset": ("audio is {} early", "audio is {} late", "audio and lips are on time"),
}
"""Figure that is best near 0 -> what is said above it, below it, and where neither is sure."""

RATIO: dict[str, tuple[str, str, str]] = {
    "lips_move_as_source": (
        "lips move {} more than the source's own",
        "lips move {} less than the source's own",
        "lips move as much as the source's own",
    ),
    "mouth_sharpness": (
        "{} sharper than the face",
        "{} softer than the face",
        "as sharp as the face",
    ),
    "mouth_sharpness_to_source": (
        "{} sharper than the source's",
        "{} softer than the source's",
        "as sharp as the source's",
    ),
}
"""Ratio -> the same of above 1 and below it, {} for the difference in per cent."""

_GRADES = ("good", "fair", "poor")

Figure = Mapping[str, Any]


def phrase(name: str, figure: Figure) -> str:
    """ "4 % softer than the face"; of figures without words of their own, title and value."""
    value = shown(figure["value"], figure["unit"])
    if name in BY_GRADE and figure["grade"] is not None:
        return BY_GRADE[name][_GRADES.index(figure["grade"])].format(value)
    known = figure["low"] is not None or figure["grade"] is not None
    if name in EITHER_SIDE and known:
        value = shown(abs(figure["value"]), figure["unit"])
        return EITHER_SIDE[name][_side(figure, 0)].format(value)
    if name in RATIO and known:
        percent = round(100 * abs(figure["value"] - 1))
        return RATIO[name][_side(figure, 1) if percent else 2].format(f"{percent} %")
    return f"{small(figure['title'])} ({value})"


def _side(figure: Figure, goal: float) -> int:
    """0: above the goal, 1: below it, 2: the interval holds it."""
    low, value, high = (figure[one] for one in ("low", "value", "high"))
    if value == goal or (low is not None and low <= goal <= high):
        return 2
    return 0 if value > goal else 1


def small(title: str) -> str:
    """Within a sentence; a name such as SyncNet keeps its capital."""
    first = title.split(" ")[0]
    return title if any(letter.isupper() for letter in first[1:]) else first[:1].lower() + title[1:]
