"""Whose mouth: selects the person that face.speaker asks for, for the whole video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from latentsync.errors import ConfigError
from latentsync.face.detector import DetectedFace
from latentsync.face.identity import Embedding, likeness, vectors_of
from latentsync.face.people import Person, Span, spans_of
from latentsync.face.portraits import portrait
from latentsync.face.speaker_choice import KEY, Choice
from latentsync.face.tracks import PRESENCE, ChosenFace
from latentsync.frame_times import frame_duration

CLEARLY_LARGER = 2.0
"""Ratio of areas from which the largest face of a picture is taken as the person."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The person whose mouth is processed. absent: the shots without this person, in seconds."""

    person: Person
    absent: tuple[Span, ...]


def reference_portraits(
    path: Path, detect: Callable[[np.ndarray], list[DetectedFace]]
) -> np.ndarray:
    """The picture of a person -> (1, 112, 112, 3) uint8 RGB, see portraits.portrait.

    detect: a FaceTracker that has seen no video. Raises ConfigError: no picture, no face in it, or
    several of about one size.
    """
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ConfigError(KEY, path, f"it cannot be read: {error.strerror}") from error
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if decoded is None:
        raise ConfigError(KEY, path, "this file is not a picture; use a JPEG or PNG of the person")
    pixels = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    faces = sorted(detect(pixels), key=lambda face: face.area, reverse=True)
    if not faces:
        raise ConfigError(KEY, path, "no face was found in it; use a frontal one, 100 px or more")
    if len(faces) > 1 and faces[0].area < CLEARLY_LARGER * faces[1].area:
        remedy = f"{len(faces)} faces were found in it; crop it to one person"
        raise ConfigError(KEY, path, remedy)
    return portrait(pixels, faces[0])[None]


def choose(
    choice: Choice,
    people: Sequence[Person],
    *,
    frame_size: tuple[int, int],
    cuts: np.ndarray,
    seconds: np.ndarray,
    scores: Mapping[int, float] | None = None,
    reference: np.ndarray | None = None,
    embedding: Embedding | None = None,
) -> Selection:
    """One of the people, at least one, and the shots in which this person is not seen.

    frame_size: width and height. cuts, seconds: per frame, as for people_of. scores: number of a
    person -> how surely this person speaks, for "auto". reference, embedding: the portraits of the
    picture, and how they are compared. Raises ConfigError where nobody fits the choice.
    """
    if choice.kind in ("left", "right"):
        person = _outermost(people, 1 if choice.kind == "left" else -1)
    elif choice.kind == "auto":
        known = scores or {}
        person = max(people, key=lambda one: (known.get(one.number, -np.inf), one.area))
    elif choice.kind == "number":
        person = _of_number(choice, people)
    elif choice.kind == "place":
        person = _at(choice, people, frame_size, seconds)
    elif choice.kind == "picture":
        if reference is None or embedding is None:
            raise ValueError("a picture needs reference and embedding")
        person = _most_like(choice, people, reference, embedding)
    else:
        person = max(people, key=lambda one: one.area)
    return Selection(person, shots_without(person, cuts, seconds))


def chosen_faces(person: Person, frames: int) -> list[ChosenFace | None]:
    """For each frame of the video the person's face, or None."""
    chosen: list[ChosenFace | None] = [None] * frames
    for track in person.tracks:
        for offset, face in enumerate(track.faces):
            chosen[track.start + offset] = ChosenFace(face, track.id)
    return chosen


def shots_without(person: Person, cuts: np.ndarray, seconds: np.ndarray) -> tuple[Span, ...]:
    """The shots in which the person is not seen at all."""
    seen = np.zeros(len(cuts), bool)
    for track in person.tracks:
        seen[track.start : track.stop] = True
    starts = np.unique([0, *np.flatnonzero(cuts)])
    stops = [*starts[1:], len(cuts)]
    empty = [(a, b) for a, b in zip(starts, stops, strict=True) if b > a and not seen[a:b].any()]
    return spans_of(empty, seconds)


def _outermost(people: Sequence[Person], sign: int) -> Person:
    largest = max(one.area for one in people)
    present = [one for one in people if one.area >= PRESENCE * largest]
    return min(present, key=lambda one: sign * one.center[0])


def _of_number(choice: Choice, people: Sequence[Person]) -> Person:
    for one in people:
        if one.number == choice.number:
            return one
    count = "there is one person" if len(people) == 1 else f"there are {len(people)} people"
    raise ConfigError(KEY, choice.text, f"{count} in this video; --list-speakers shows them")


def _at(
    choice: Choice, people: Sequence[Person], frame_size: tuple[int, int], seconds: np.ndarray
) -> Person:
    """Whose box holds the point at that time; else the nearest within a face width."""
    width, height = frame_size
    if choice.x >= width or choice.y >= height:
        raise ConfigError(KEY, choice.text, f"the frame is only {width} x {height} pixels")
    frame = max(0, int(np.searchsorted(seconds, choice.seconds, side="right")) - 1)
    last = float(seconds[-1]) + frame_duration(seconds)
    if choice.seconds > last:
        raise ConfigError(KEY, choice.text, f"the video ends at {last:.2f} s")
    shown = [(one, face) for one in people if (face := one.face_at(frame)) is not None]
    point = np.array([choice.x, choice.y])
    near = min(shown, key=lambda pair: _distance(point, pair[1]), default=None)
    if near is None:
        raise ConfigError(
            KEY, choice.text, f"there is no face at {choice.seconds:g} s; {_when(people)}"
        )
    if _distance(point, near[1]) >= 1:
        there = ", ".join(f"{one.number}: {_box(face)}" for one, face in shown)
        remedy = f"no face is there; at {choice.seconds:g} s these are (x0 y0 x1 y1): {there}"
        raise ConfigError(KEY, choice.text, remedy)
    return near[0]


def _distance(point: np.ndarray, face: DetectedFace) -> float:
    """From the box, in its widths; inside it below 0, the least at its centre."""
    low, high = face.box[:2], face.box[2:]
    width = max(float(high[0] - low[0]), 1.0)
    outside = np.linalg.norm(np.maximum(np.maximum(low - point, point - high), 0)) / width
    if outside > 0:
        return float(outside)
    return float(np.linalg.norm(point - face.center) / width) - 2


def _box(face: DetectedFace) -> str:
    return " ".join(f"{value:.0f}" for value in face.box)


def _when(people: Sequence[Person]) -> str:
    first = min(people, key=lambda one: one.spans[0][0])
    return f"the first one appears at {first.spans[0][0]:.2f} s"


def _most_like(
    choice: Choice, people: Sequence[Person], reference: np.ndarray, embedding: Embedding
) -> Person:
    """The person most similar to the picture, clearly more than the next."""
    wanted = embedding(reference)
    found = [
        (likeness(wanted, vectors_of(one.portraits, embedding)) or -1.0, one) for one in people
    ]
    (best, person), *others = sorted(found, key=lambda pair: pair[0], reverse=True)
    if best < embedding.same:
        nearest = f"the nearest is person {person.number}"
        remedy = f"nobody in the video is similar enough ({nearest}); use a number or x,y@seconds"
        raise ConfigError(KEY, choice.text, remedy)
    if others and best - others[0][0] < embedding.margin:
        numbers = f"{person.number} and {others[0][1].number}"
        remedy = f"people {numbers} are both similar to it; use the number or another picture"
        raise ConfigError(KEY, choice.text, remedy)
    return person
