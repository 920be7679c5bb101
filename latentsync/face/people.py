"""The people of a video: tracks of one person, joined within a shot and across cuts.

Within a shot a face that is gone and comes back in the same place is the same person, as long as
it does not look like another one. Everywhere else appearance alone decides, and in doubt one person
counts as two. Two faces that are seen at the same time are never one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from latentsync.face.crossings import split_at_crossings
from latentsync.face.detector import DetectedFace
from latentsync.face.identity import Embedding, likeness, vectors_of
from latentsync.face.portraits import GALLERY, Portrait
from latentsync.face.tracks import SAME_IDENTITY_STEP, Track, step

SHORT = 0.5
"""Seconds on screen below which a person is numbered after all others: mostly false detections."""
Span = tuple[float, float]
"""From and to, in seconds, half open."""


@dataclass(frozen=True, eq=False)
class Person:
    """One person over the whole video.

    number: from 1, in the order in which people appear; who is seen for less than SHORT comes last.
    tracks: by time, never two at once. spans: when the person is on screen. portraits: by time.
    """

    number: int
    tracks: tuple[Track, ...]
    spans: tuple[Span, ...]
    portraits: tuple[Portrait, ...]

    @property
    def area(self) -> float:
        """Of the face, summed over all frames [pixels]."""
        return sum(track.area for track in self.tracks)

    @property
    def seconds(self) -> float:
        """On screen."""
        return sum(stop - start for start, stop in self.spans)

    @cached_property
    def box(self) -> np.ndarray:
        """(4,) float32 x0, y0, x1, y1, frame pixels: the mean over all frames."""
        return np.mean([face.box for track in self.tracks for face in track.faces], axis=0)

    @property
    def center(self) -> np.ndarray:
        """(2,) x, y, frame pixels: the mean over all frames."""
        return (self.box[:2] + self.box[2:]) / 2

    def face_at(self, frame: int) -> DetectedFace | None:
        """The face in the frame of that index; None: it is not seen there."""
        for track in self.tracks:
            if track.start <= frame < track.stop:
                return track.faces[frame - track.start]
        return None


@dataclass(slots=True, eq=False)
class _Group:
    """Tracks that are one person, by start, and the vectors of their portraits (n, D)."""

    tracks: list[Track]
    portraits: list[Portrait]
    vectors: np.ndarray

    def overlaps(self, other: _Group) -> bool:
        return any(
            one.start < two.stop and two.start < one.stop
            for one in self.tracks
            for two in other.tracks
        )

    def take(self, other: _Group) -> None:
        self.tracks = sorted([*self.tracks, *other.tracks], key=lambda track: track.start)
        self.portraits += other.portraits
        known = [vectors for vectors in (self.vectors, other.vectors) if len(vectors)]
        vectors = np.concatenate(known) if known else self.vectors
        if len(vectors) > GALLERY:
            vectors = vectors[np.linspace(0, len(vectors) - 1, GALLERY).astype(int)]
        self.vectors = vectors


def people_of(
    tracks: Sequence[Track],
    portraits: Mapping[int, Sequence[Portrait]],
    seconds: np.ndarray,
    embedding: Embedding,
) -> list[Person]:
    """The tracks of a video -> its people, by number. Every face of the tracks has one person.

    portraits: by track id, see portraits.PortraitCollector; a track without one is joined by its
    place alone. seconds: presentation time of each frame, rising. A track on which two faces
    were exchanged as they crossed is split in two, the later with an id of its own.
    """
    shots: dict[int, list[_Group]] = {}
    for track, made in split_at_crossings(tracks, portraits, seconds, embedding):
        group = _Group([track], list(made), vectors_of(made, embedding))
        shots.setdefault(track.shot, []).append(group)
    return _numbered(_joined([shots[number] for number in sorted(shots)], embedding), seconds)


def spans_of(runs: Iterable[tuple[int, int]], seconds: np.ndarray) -> tuple[Span, ...]:
    """Half-open runs of frame indices, rising -> seconds; runs without a gap become one span."""
    ends = np.append(seconds, seconds[-1] + frame_seconds(seconds)) if len(seconds) else seconds
    spans: list[tuple[int, int]] = []
    for start, stop in runs:
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(stop, spans[-1][1])
        else:
            spans.append((start, stop))
    return tuple((float(ends[start]), float(ends[stop])) for start, stop in spans)


def frame_seconds(seconds: np.ndarray) -> float:
    """The typical duration of a frame; of the only one: 1/25 s."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.04


def _joined(shots: Iterable[Sequence[_Group]], embedding: Embedding) -> list[_Group]:
    """One shot after the other, the most similar groups first; people may turn out to be one."""
    people: list[_Group] = []
    for shot in shots:
        people += shot
        scores = {
            (i, j): _score(people[i], people[j], embedding)
            for j in range(len(people) - len(shot), len(people))
            for i in range(j)
        }
        while scores:
            (i, j), best = max(scores.items(), key=lambda entry: entry[1])
            if best < embedding.same:
                break
            people[i].take(people.pop(j))
            scores = {
                (a - (a > j), b - (b > j)): score
                for (a, b), score in scores.items()
                if j not in (a, b) and i not in (a, b)
            }
            for other in range(len(people)):
                if other != i:
                    pair = (min(i, other), max(i, other))
                    scores[pair] = _score(people[pair[0]], people[pair[1]], embedding)
    return people


def _score(one: _Group, other: _Group, embedding: Embedding) -> float:
    """`same` and more: one person. In the same place of a shot `different` is enough."""
    if one.overlaps(other):
        return -np.inf
    like = likeness(one.vectors, other.vectors)
    way = _way(one, other)
    if way < SAME_IDENTITY_STEP:
        if like is None:
            return embedding.same + 1e-3 * (1 - way / SAME_IDENTITY_STEP)
        return like + embedding.same - embedding.different
    return -np.inf if like is None else like


def _way(one: _Group, other: _Group) -> float:
    """Least step, in face sizes, from a track of one to the next of the same shot, of the other."""
    ours = {id(track) for track in one.tracks}
    tracks = sorted([*one.tracks, *other.tracks], key=lambda track: track.start)
    steps = [
        step(before.faces[-1], after.faces[0])
        for before, after in pairwise(tracks)
        if before.shot == after.shot and (id(before) in ours) != (id(after) in ours)
    ]
    return min(steps, default=float("inf"))


def _numbered(groups: Sequence[_Group], seconds: np.ndarray) -> list[Person]:
    people = [
        Person(
            0,
            tuple(group.tracks),
            spans_of(((track.start, track.stop) for track in group.tracks), seconds),
            tuple(sorted(group.portraits, key=lambda one: one.seconds)),
        )
        for group in groups
    ]
    people.sort(key=lambda one: (one.seconds < SHORT, one.tracks[0].start, -one.area))
    return [replace(one, number=number) for number, one in enumerate(people, 1)]
