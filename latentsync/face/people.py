"""The people of a video: tracks of one person, joined within a shot and across cuts.

Within a shot a face that is gone and comes back in the same place is the same person, as long as
it does not look like another one. Everywhere else appearance alone decides, and in doubt one person
counts as two. Two faces that are seen at the same time are never one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from latentsync.face.crossings import split_at_crossings
from latentsync.face.detector import DetectedFace
from latentsync.face.identity import Embedding, vectors_of
from latentsync.face.joining import Group, joined
from latentsync.face.portraits import Portrait
from latentsync.face.tracks import Track
from latentsync.frame_times import frame_duration

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
    shots: dict[int, list[Group]] = {}
    for track, made in split_at_crossings(tracks, portraits, seconds, embedding):
        group = Group({track.shot: [track]}, list(made), vectors_of(made, embedding))
        shots.setdefault(track.shot, []).append(group)
    return _numbered(joined([shots[number] for number in sorted(shots)], embedding), seconds)


def spans_of(runs: Iterable[tuple[int, int]], seconds: np.ndarray) -> tuple[Span, ...]:
    """Half-open runs of frame indices, rising -> seconds; runs without a gap become one span."""
    ends = np.append(seconds, seconds[-1] + frame_duration(seconds)) if len(seconds) else seconds
    spans: list[tuple[int, int]] = []
    for start, stop in runs:
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(stop, spans[-1][1])
        else:
            spans.append((start, stop))
    return tuple((float(ends[start]), float(ends[stop])) for start, stop in spans)


def _numbered(groups: Sequence[Group], seconds: np.ndarray) -> list[Person]:
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
