"""Cuts, and the tracks of all faces: each is one face between two cuts, without a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.frame_times import PTS_ROUNDING

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 64, 36
SAMPLES = 4
"""Pixels of the frame, along each side, that are averaged to a pixel of the thumbnail."""
BINS = 6
FLAT = 0.01
"""Contrast, of a range of 1, below which a thumbnail counts as uniform."""

MAX_STEP = 0.6
"""Greatest movement between two detections of one track, in face sizes."""
MAX_GROWTH = 1.6
SAME_IDENTITY_STEP = 1.5
"""The same from the end of a track to the start of the next in the same shot."""
PRESENCE = 0.1
"""Least area of an identity that can be selected, as a share of the largest."""


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB -> (36, 64, 3) float32 in [0, 1], for is_cut."""
    height, width = pixels.shape[:2]
    rows = max(1, height // (THUMBNAIL_HEIGHT * SAMPLES))
    columns = max(1, width // (THUMBNAIL_WIDTH * SAMPLES))
    sampled = np.ascontiguousarray(pixels[::rows, ::columns])
    size = (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)
    small = cv2.resize(sampled, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def is_cut(previous: np.ndarray, current: np.ndarray, threshold: float) -> bool:
    """Two thumbnails of neighbouring frames -> whether a new shot begins."""
    return cut_score(previous, current) > threshold


def cut_score(previous: np.ndarray, current: np.ndarray) -> float:
    """0: the same frame, 1: nothing in common; the geometric mean of two distances.

    Motion changes the layout but not the colours; a flash or a fade changes the colours but not the
    layout; a cut changes both.
    """
    colors, layout = _color_distance(previous, current), _layout_distance(previous, current)
    return math.sqrt(max(0.0, colors * layout))


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face without a gap (short ones are interpolated) between two cuts.

    id: number of the track in the video. shot: number of the shot. start: index of its first frame.
    faces: one per frame from there on.
    """

    id: int
    shot: int
    start: int
    faces: tuple[DetectedFace, ...]

    @property
    def stop(self) -> int:
        return self.start + len(self.faces)

    @property
    def area(self) -> float:
        return sum(face.area for face in self.faces)


@dataclass(frozen=True, slots=True, eq=False)
class ChosenFace:
    """The face to work on in one frame, and the id of its track."""

    face: DetectedFace
    track: int


@dataclass(slots=True, eq=False)
class _Open:
    """A track that may still be continued."""

    id: int
    shot: int
    start: int
    faces: list[DetectedFace] = field(default_factory=list)

    @property
    def stop(self) -> int:
        return self.start + len(self.faces)

    def add(self, face: DetectedFace, frame: int, seconds: Sequence[float] | np.ndarray) -> None:
        """seconds: of each frame of the video. Frames in between are interpolated linearly."""
        last, begin = self.faces[-1], seconds[self.stop - 1]
        shares = [
            (seconds[missed] - begin) / (seconds[frame] - begin)
            for missed in range(self.stop, frame)
        ]
        self.faces += [*(_between(last, face, share) for share in shares), face]

    def begin(self, frame: int) -> None:
        """Extends the track back to that frame with its first face."""
        self.faces[:0] = self.faces[:1] * (self.start - frame)
        self.start = frame


def link_faces(
    faces: Sequence[Sequence[DetectedFace]],
    cuts: Sequence[bool],
    *,
    seconds: Sequence[float] | np.ndarray,
    max_gap_seconds: float,
) -> list[Track]:
    """faces, cuts, seconds: per frame -> the tracks by first frame.

    cuts[i]: a shot begins with frame i. seconds: presentation times, rising. A gap lasts from the
    first frame without the face until the frame that shows it again. Gaps up to max_gap_seconds are
    interpolated linearly in time; a longer one ends the track. A face first detected within that
    time after a cut is extended back to the cut, in the same place.
    """
    tracks: list[_Open] = []
    active: list[_Open] = []
    shots = [0]  # first frame of each
    longest = max_gap_seconds + PTS_ROUNDING
    for frame, (found, cut, now) in enumerate(zip(faces, cuts, seconds, strict=True)):
        if cut and frame:
            active = []
            shots.append(frame)
        active = [track for track in active if now - seconds[track.stop] <= longest]
        for track, face in _matches(active, found):
            if track is None:
                track = _Open(len(tracks), len(shots) - 1, frame)
                tracks.append(track)
                active.append(track)
                track.faces.append(face)
            else:
                track.add(face, frame, seconds)
    for track in tracks:
        late = seconds[track.start] - seconds[shots[track.shot]]
        if late <= longest and not _goes_on(track, tracks):
            track.begin(shots[track.shot])
    tracks.sort(key=lambda track: track.start)
    return [Track(one.id, one.shot, one.start, tuple(one.faces)) for one in tracks]


def _color_distance(previous: np.ndarray, current: np.ndarray) -> float:
    first, second = _histogram(previous), _histogram(current)
    return 1 - float(np.minimum(first, second).sum())


def _histogram(small: np.ndarray) -> np.ndarray:
    colors = small.reshape(-1, 1, 3)
    counts = cv2.calcHist([colors], [0, 1, 2], None, [BINS] * 3, [0, 1.001] * 3)
    return counts / len(colors)


def _layout_distance(previous: np.ndarray, current: np.ndarray) -> float:
    first, second = (small.mean(axis=-1) - small.mean() for small in (previous, current))
    contrast = first.std(), second.std()
    if min(contrast) < FLAT:
        return float(max(contrast) >= FLAT)
    return (1 - float((first * second).mean() / (contrast[0] * contrast[1]))) / 2


def _matches(
    active: Sequence[_Open], found: Sequence[DetectedFace]
) -> list[tuple[_Open | None, DetectedFace]]:
    """Each face with the nearest track that it can continue, each track once, nearest first."""
    pairs = sorted(
        (way, i, j)
        for i, track in enumerate(active)
        for j, face in enumerate(found)
        if (way := step(track.faces[-1], face)) < MAX_STEP
    )
    owner: dict[int, _Open] = {}
    used: set[int] = set()
    for _, i, j in pairs:
        if i not in used and j not in owner:
            used.add(i)
            owner[j] = active[i]
    return [(owner.get(j), face) for j, face in enumerate(found)]


def _goes_on(track: _Open, tracks: Sequence[_Open]) -> bool:
    """Whether an earlier track of the shot had a face in the same place, of any size."""
    first = track.faces[0]
    earlier = (one for one in tracks if one.shot == track.shot and one.start < track.start)
    before = (one.faces[min(track.start, one.stop) - 1 - one.start] for one in earlier)
    return any(
        np.linalg.norm(face.center - first.center)
        < SAME_IDENTITY_STEP * max(size_of(face), size_of(first))
        for face in before
    )


def step(before: DetectedFace, after: DetectedFace) -> float:
    """Distance of the centres in face sizes; infinite where the size changes too much."""
    first, second = size_of(before), size_of(after)
    if max(first, second) > MAX_GROWTH * min(first, second):
        return float("inf")
    return float(np.linalg.norm(after.center - before.center)) / max(first, second, 1e-6)


def size_of(face: DetectedFace) -> float:
    """The side of a square of the box's area [pixels]."""
    return float(np.sqrt(face.area))


def _between(before: DetectedFace, after: DetectedFace, share: float) -> DetectedFace:
    def mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return (first + (second - first) * share).astype(np.float32)

    confidence = before.confidence + (after.confidence - before.confidence) * share
    outline = None
    if before.outline is not None and after.outline is not None:
        outline = mixed(before.outline, after.outline)
    return DetectedFace(
        mixed(before.landmarks, after.landmarks), mixed(before.box, after.box), confidence, outline
    )
