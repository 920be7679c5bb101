"""What the server's process and the engine's process say to each other; imports nothing slow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEOPLE, PREVIEW, ESTIMATE, FETCH, PROXY = "people", "preview", "estimate", "fetch", "proxy"
"""Kinds of requests; process.py says what each takes and gives."""


@dataclass(frozen=True, slots=True)
class Request:
    """number: of no other request. arguments: plain data. folder: for the files of the result."""

    number: int
    kind: str
    arguments: dict[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True)
class Cancel:
    """A request is no longer wanted."""

    number: int


@dataclass(frozen=True, slots=True)
class Wake:
    """There may be new jobs."""


@dataclass(frozen=True, slots=True)
class End:
    """finish: the task at hand is finished first; else it is given back."""

    finish: bool


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a request is. share: 0 to 1. stage: in words."""

    number: int
    share: float
    stage: str


@dataclass(frozen=True, slots=True)
class Answer:
    """error: None where there is a result."""

    number: int
    result: dict[str, Any] | None
    error: Exception | None = None
