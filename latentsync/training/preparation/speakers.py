"""Steps `speaker` and `speech`: a clip shows who is heard in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from latentsync.training.preparation.faces import stretches
from latentsync.training.preparation.manifest import (
    DROPPED,
    FRAME_RATE,
    LEFT_OUT,
    NOT_JUDGED,
    Judged,
    Piece,
)
from latentsync.training.preparation.settings import PreparationSettings

Span = tuple[float, float]
Spans = Mapping[int, Sequence[Span]]
"""Number of a person -> seconds in which that person speaks."""


def judge_speaker(
    pieces: Iterable[Piece], spans: Spans | None, settings: PreparationSettings
) -> Iterator[Judged]:
    """Where another person speaks, a piece is cut. spans: None: nobody else is in the video."""
    for piece in pieces:
        if not settings.judges("speaker"):
            yield Judged(piece, NOT_JUDGED, LEFT_OUT)
        elif spans is None:
            yield Judged(piece)
        else:
            yield from _cut(piece, spans)


def _cut(piece: Piece, spans: Spans) -> Iterator[Judged]:
    others = np.zeros(piece.stop, bool)
    for person, spoken in spans.items():
        if person != piece.person:
            others |= in_frames(spoken, piece.stop)
    if piece.person in spans:
        others &= ~in_frames(spans[piece.person], piece.stop)
    inside = others[piece.start :]
    if not inside.any():
        yield Judged(piece)
        return
    for part in _parts(piece, inside, "x"):
        yield Judged(part, DROPPED, "another person speaks")
    for part in _parts(piece, ~inside, "a"):
        yield Judged(part)


def _parts(piece: Piece, flags: np.ndarray, letter: str) -> Iterator[Piece]:
    for number, (start, stop) in enumerate(stretches(flags)):
        name = f"{piece.name}{letter}{number}"
        yield replace(piece, name=name, start=piece.start + start, stop=piece.start + stop)


def judge_speech(
    pieces: Iterable[Piece],
    spoken: np.ndarray,
    spans: Spans | None,
    settings: PreparationSettings,
) -> Iterator[Judged]:
    """By the share of a piece with speech of its person. spoken: (F,) bool, anybody's."""
    for piece in pieces:
        there = spoken
        if spans is not None and settings.judges("speaker"):
            there = in_frames(spans.get(piece.person, ()), len(spoken))
        share = float(there[piece.start : piece.stop].mean()) if piece.frames else 0.0
        figures = {"speech": share}
        if not settings.judges("speech"):
            yield Judged(piece, NOT_JUDGED, LEFT_OUT, figures)
        elif share < settings.min_speech:
            reason = f"{share:.0%} of it are speech of this person (--min_speech)"
            yield Judged(piece, DROPPED, reason, figures)
        else:
            yield Judged(piece, figures=figures)


def in_frames(spans: Iterable[Span], frames: int) -> np.ndarray:
    """(frames,) bool: whether the middle of each frame lies in one of the spans."""
    flags = np.zeros(frames, bool)
    for start, stop in spans:
        first, last = (max(0, round(at * FRAME_RATE)) for at in (start, stop))
        flags[first:last] = True
    return flags
