"""Step `segments`: pieces are divided into clips of 5 to 10 s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from latentsync.training.preparation.manifest import DROPPED, Judged, Piece, seconds
from latentsync.training.preparation.settings import PreparationSettings


def judge_segments(pieces: Iterable[Piece], settings: PreparationSettings) -> Iterator[Judged]:
    """Each piece -> equal segments, none longer than allowed; what remains is dropped."""
    for piece in pieces:
        for number, (start, stop) in enumerate(_segments(piece.frames, settings)):
            part = replace(piece, name=f"{piece.name}_{number:02d}")
            part = replace(part, start=piece.start + start, stop=piece.start + stop)
            if part.frames < settings.shortest:
                yield Judged(part, DROPPED, f"what is left lasts {seconds(part.frames)}")
            else:
                yield Judged(part)


def _segments(frames: int, settings: PreparationSettings) -> list[tuple[int, int]]:
    """All of them: the last one may be a remainder that is too short."""
    parts = -(-frames // settings.longest)
    if frames // parts >= settings.shortest or parts == 1:
        edges = [round(frames * number / parts) for number in range(parts + 1)]
    else:
        edges = [*range(0, frames, settings.longest), frames]
    return list(pairwise(edges))
