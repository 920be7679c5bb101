"""Steps `faces` and `size`: each track in a shot is a piece of its own person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from latentsync.face.people import Person
from latentsync.face.tracks import Track
from latentsync.training.preparation.manifest import (
    DROPPED,
    FRAME_RATE,
    LEFT_OUT,
    NOT_JUDGED,
    Judged,
    Piece,
    seconds,
)
from latentsync.training.preparation.settings import PreparationSettings

NOTED = FRAME_RATE
"""Frames without a face from which on they are noted in the table."""


def judge_faces(
    shots: Iterable[Piece], people: Sequence[Person], settings: PreparationSettings
) -> Iterator[Judged]:
    """One verdict for each track in a shot, and one for each stretch without any face."""
    tracks = [(person.number, track) for person in people for track in person.tracks]
    for shot in shots:
        seen = np.zeros(shot.frames, bool)
        for person, track in tracks:
            start, stop = max(shot.start, track.start), min(shot.stop, track.stop)
            if start < stop:
                seen[start - shot.start : stop - shot.start] = True
                name = f"{shot.name}p{person}t{track.id}"
                yield _track(Piece(name, start, stop, person, track.id), settings)
        for number, (start, stop) in enumerate(stretches(~seen)):
            if stop - start >= min(NOTED, shot.frames):
                name = f"{shot.name}empty{number}"
                empty = Piece(name, shot.start + start, shot.start + stop)
                yield Judged(empty, DROPPED, "no face is seen")


def _track(piece: Piece, settings: PreparationSettings) -> Judged:
    if piece.frames < settings.shortest:
        reason = f"the face is seen for {seconds(piece.frames)} in one go"
        return Judged(piece, DROPPED, reason)
    return Judged(piece)


def judge_size(
    pieces: Iterable[Piece], people: Sequence[Person], settings: PreparationSettings
) -> Iterator[Judged]:
    """By the median width of the face [source pixels]."""
    for piece in pieces:
        width = face_width(piece, track_of(piece, people))
        figures = {"face_width": width}
        if not settings.judges("size"):
            yield Judged(piece, NOT_JUDGED, LEFT_OUT, figures)
        elif width < settings.face_width:
            least = f"at least {settings.face_width} are needed (--min_face)"
            reason = f"the face is {width:.0f} pixels wide, {least}"
            yield Judged(piece, DROPPED, reason, figures)
        else:
            yield Judged(piece, figures=figures)


def face_width(piece: Piece, track: Track) -> float:
    faces = track.faces[piece.start - track.start : piece.stop - track.start]
    return float(np.median([face.box[2] - face.box[0] for face in faces]))


def track_of(piece: Piece, people: Sequence[Person]) -> Track:
    person = next(one for one in people if one.number == piece.person)
    return next(one for one in person.tracks if one.id == piece.track)


def stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """(F,) bool -> the runs in which it is set, half open."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
