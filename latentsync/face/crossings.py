"""Tracks on which two faces were exchanged as one passed in front of the other, split there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np

from latentsync.face.identity import Embedding, likeness, vectors_of
from latentsync.face.portraits import CLOSE, Portrait
from latentsync.face.tracks import SAME_IDENTITY_STEP, Track, size_of

Piece = tuple[Track, list[Portrait]]


def split_at_crossings(
    tracks: Sequence[Track],
    portraits: Mapping[int, Sequence[Portrait]],
    seconds: np.ndarray,
    embedding: Embedding,
) -> list[Piece]:
    """The tracks and their portraits; one whose face changed as it met another is split there.

    portraits: by track id. seconds: of each frame of the video, rising. The later part of a track
    gets the next free id.
    """
    meetings = _meetings(tracks)
    parts = {
        track.id: _Parts(track, meetings.get(track.id, ()), portraits, seconds, embedding)
        for track in tracks
    }
    splits: dict[int, list[int]] = {}
    for track in tracks:
        for frame, other in meetings.get(track.id, {}).items():
            if _exchanged(parts[track.id], parts[other], frame, embedding):
                splits.setdefault(track.id, []).append(frame)
    return list(_pieces(tracks, splits, portraits, seconds))


class _Parts:
    """The portraits of one track, as vectors, between its meetings with others."""

    def __init__(
        self,
        track: Track,
        meetings: Mapping[int, int] | tuple[()],
        portraits: Mapping[int, Sequence[Portrait]],
        seconds: np.ndarray,
        embedding: Embedding,
    ) -> None:
        self.track = track
        self._bounds = [track.start, *sorted(meetings), track.stop]
        self._portraits, self._seconds, self._embedding = portraits, seconds, embedding
        self._computed: dict[tuple[int, int], np.ndarray] = {}

    def before(self, frame: int) -> np.ndarray:
        """(n, D): from the meeting before that frame until it."""
        return self._vectors(
            max((one for one in self._bounds if one < frame), default=frame), frame
        )

    def after(self, frame: int) -> np.ndarray:
        """(n, D): from that frame until the next meeting."""
        return self._vectors(
            frame, min((one for one in self._bounds if one > frame), default=frame)
        )

    def _vectors(self, start: int, stop: int) -> np.ndarray:
        """Computed once: each meeting, and the other track's, asks for the same ones."""
        if (start, stop) not in self._computed:
            made = _between(self._portraits.get(self.track.id, ()), start, stop, self._seconds)
            self._computed[start, stop] = vectors_of(made, self._embedding)
        return self._computed[start, stop]


def _exchanged(mine: _Parts, other: _Parts, frame: int, embedding: Embedding) -> bool:
    """Whether another face follows on this track after the frame.

    It is if the face before and after is surely different, or if the other track's face fits
    better by the margin, counted over all that is known of both.
    """
    before, after = mine.before(frame), mine.after(frame)
    straight = likeness(before, after)
    if straight is None:
        return False
    if straight < embedding.different:
        return True
    crossed = [likeness(before, other.after(frame)), likeness(other.before(frame), after)]
    kept = likeness(other.before(frame), other.after(frame))
    fits = [one for one in crossed if one is not None]
    if not fits or min(fits) < embedding.same:
        return False
    stays = straight if kept is None or len(fits) < 2 else (straight + kept) / 2
    return float(np.mean(fits)) > stays + embedding.margin


def _meetings(tracks: Sequence[Track]) -> dict[int, dict[int, int]]:
    """Track id -> frame inside the track -> id of the track that it meets there."""
    found: dict[int, dict[int, int]] = {}
    for one, other in _pairs(tracks):
        for frame in (*_closest(one, other), *_ends(one, other), *_ends(other, one)):
            for mine, its in ((one, other), (other, one)):
                if mine.start < frame < mine.stop:
                    found.setdefault(mine.id, {})[frame] = its.id
    return found


def _pairs(tracks: Sequence[Track]) -> Iterator[tuple[Track, Track]]:
    """Of one shot each."""
    shots: dict[int, list[Track]] = {}
    for track in tracks:
        shots.setdefault(track.shot, []).append(track)
    for shot in shots.values():
        yield from combinations(shot, 2)


def _closest(one: Track, other: Track) -> Iterator[int]:
    """The frame of the least distance in each run of frames in which one covers the other."""
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    if stop <= start:
        return
    ways = np.array([_way(one, other, frame) for frame in range(start, stop)])
    close = np.flatnonzero(ways < CLOSE)
    for run in np.split(close, np.flatnonzero(np.diff(close) > 1) + 1):
        if len(run):
            yield start + int(run[np.argmin(ways[run])])


def _ends(one: Track, other: Track) -> Iterator[int]:
    """Where one begins or ends in the place of the other, which was there before and is after."""
    for frame, last in ((one.start, one.start), (one.stop, one.stop - 1)):
        inside = other.start < frame < other.stop and other.start <= last
        if inside and _way(one, other, last) < SAME_IDENTITY_STEP:
            yield frame


def _way(one: Track, other: Track, frame: int) -> float:
    """Distance of the centres in that frame, in sizes of the larger face."""
    first, second = one.faces[frame - one.start], other.faces[frame - other.start]
    larger = max(size_of(first), size_of(second), 1e-6)
    return float(np.linalg.norm(first.center - second.center)) / larger


def _pieces(
    tracks: Sequence[Track],
    splits: Mapping[int, Sequence[int]],
    portraits: Mapping[int, Sequence[Portrait]],
    seconds: np.ndarray,
) -> Iterator[Piece]:
    free = max((track.id for track in tracks), default=-1) + 1
    for track in tracks:
        bounds = [track.start, *sorted(set(splits.get(track.id, ()))), track.stop]
        for start, stop in pairwise(bounds):
            faces = track.faces[start - track.start : stop - track.start]
            number, free = (track.id, free) if start == track.start else (free, free + 1)
            made = _between(portraits.get(track.id, ()), start, stop, seconds)
            yield Track(number, track.shot, start, faces), made


def _between(
    portraits: Sequence[Portrait], start: int, stop: int, seconds: np.ndarray
) -> list[Portrait]:
    """Those of the frames start to stop, half open."""
    first = seconds[start] if start < len(seconds) else np.inf
    last = seconds[stop] if stop < len(seconds) else np.inf
    return [one for one in portraits if first <= one.seconds < last]
