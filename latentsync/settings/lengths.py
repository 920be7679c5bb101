"""The words of output.length, those of earlier versions among them; levels; frame rates."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from fractions import Fraction
from typing import Any

from latentsync.errors import ConfigError

BOUNCE, LOOP, HOLD = "bounce", "loop", "hold"
CUT_OFF, SILENCE, REMAP, VIDEO = "cut_off", "silence", "remap", "video"
LENGTHS = (BOUNCE, LOOP, HOLD, CUT_OFF, SILENCE, REMAP, VIDEO)
"""All but the last are the words that lip-sync services share; docs/lengths.md defines them."""

OLD_WORDS = {"audio": BOUNCE, "pingpong": BOUNCE}
"""What earlier versions called them."""

LOWEST, HIGHEST = -60.0, 0.0  # dB, of output.mix
_RATE = re.compile(r"\d{1,6}(?:\.\d{1,6}|/\d{1,6})?")
"""Fraction would compute with "1e999999999" for hours."""
_LEVEL = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:dB)?", re.IGNORECASE)


def use_one_length(layers: Sequence[MutableMapping[str, Any]]) -> list[str]:
    """Puts output.length in the place of output.extend, and new words in the place of old ones.

    layers: of settings, lowest precedence first; changed. In earlier versions output.extend said
    what follows where the video is too short, and had no effect unless the output was as long as
    the speech. Returns a sentence where it was given. Raises ConfigError for a value that is none.
    """
    length, extend, extends = BOUNCE, None, True
    for output in [layer["output"] for layer in layers if isinstance(layer.get("output"), dict)]:
        if "length" in output:
            extends = output["length"] == "audio"
            length = output["length"] = _new_word(output["length"])
        if "extend" in output:
            extend, extends = _new_word(output.pop("extend")), True
    if extend is None:
        return []
    if extend not in LENGTHS:
        remedy = f"use output.length, with one of {', '.join(LENGTHS)}"
        raise ConfigError("output.extend", extend, remedy)
    if not extends or length not in (BOUNCE, LOOP, HOLD) or any(x.get("speakers") for x in layers):
        return [f"output.extend ({extend}) has no effect here: output.length says all"]
    layers[-1].setdefault("output", {})["length"] = extend
    return [f"output.extend is part of output.length now: using output.length={extend}"]


def decibels(level: str) -> float:
    """output.mix -> dB. Raises ConfigError."""
    found = _LEVEL.fullmatch(level.strip())
    if found is None or not LOWEST <= float(found[1]) <= HIGHEST:
        remedy = f"use a level such as -18dB, from {LOWEST:g} to {HIGHEST:g}, or null"
        raise ConfigError("output.mix", level, remedy)
    return float(found[1])


def output_rate(text: str) -> Fraction | None:
    """``output.fps`` -> frames a second; None: the video's own. Raises ConfigError."""
    if text == "source":
        return None
    try:
        rate = Fraction(text) if _RATE.fullmatch(text) else Fraction(0)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 240:
        raise ConfigError("output.fps", text, "use source, or a number from 1 to 240")
    return rate


def _new_word(word: Any) -> Any:
    return OLD_WORDS.get(word, word) if isinstance(word, str) else word
