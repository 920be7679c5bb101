"""Reads the setting face.speaker: which person is asked for. Imports nothing slow."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from latentsync.errors import ConfigError

KEY = "face.speaker"
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
Kind = Literal["largest", "left", "right", "auto", "all", "number", "place", "picture"]
WORDS: tuple[Kind, ...] = ("largest", "left", "right", "auto", "all")
ALL = "all"
REMEDY = (
    f"use {', '.join(WORDS)}, a number (1: who appears first), x,y or x,y@seconds, "
    "or the path of a picture of the person"
)
_NUMBER = re.compile(r"[+-]?\d+")
_REAL = r"[+-]?\d+(?:\.\d*)?"
_PLACE = re.compile(rf"({_REAL})\s*,\s*({_REAL})(?:\s*@\s*({_REAL})\s*s?)?")


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting of face.speaker that has been read.

    text: as given. number: of the person, from 1. x, y: frame pixels, at a time in seconds.
    """

    kind: Kind
    text: str
    number: int = 0
    x: float = 0.0
    y: float = 0.0
    seconds: float = 0.0
    picture: Path | None = None


def parse_speaker(setting: object) -> Choice:
    """The value of face.speaker, a text or a number -> what it asks for.

    A picture is looked for, not read. Raises ConfigError for anything else.
    """
    text = str(setting).strip()
    for word in WORDS:
        if text.lower() == word:
            return Choice(word, text)
    if _NUMBER.fullmatch(text):
        return _numbered(text)
    place = _PLACE.fullmatch(text)
    if place is not None:
        return _placed(text, *(float(part or 0) for part in place.groups()))
    expanded, is_file = os.path.expanduser, os.path.isfile  # Path's own raise for some names
    path = Path(expanded(text))
    if is_file(path):
        return Choice("picture", text, picture=path)
    if path.suffix.lower() in PICTURES:
        raise ConfigError(KEY, text, "there is no such picture; check the path")
    raise ConfigError(KEY, text, REMEDY)


def _numbered(text: str) -> Choice:
    if int(text) < 1:
        raise ConfigError(KEY, text, "people are numbered from 1, in the order they appear")
    return Choice("number", text, number=int(text))


def _placed(text: str, x: float, y: float, seconds: float) -> Choice:
    if min(x, y) < 0:
        raise ConfigError(KEY, text, "x and y are pixels of the frame, from 0 at its left and top")
    if seconds < 0:
        raise ConfigError(KEY, text, "the time after @ is in seconds from the start, from 0")
    return Choice("place", text, x=x, y=y, seconds=seconds)
