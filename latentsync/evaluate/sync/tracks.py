"""Tracks of faces from the boxes of a detector, by the rule of LatentSync's evaluation.

The rule of eval/syncnet_detect.py, which came from joonson/syncnet_python: greedy, and by overlap
alone. It serves the boxes of S3FD; the faces that this project finds have tracks, see face.tracks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from latentsync.models.syncnet import FRAME_RATE

SHORTEST = 50
"""Detections of a track, and frames of a shot, that are needed: of a track more than that."""
LONGEST_GAP = 25
"""Frames without a detection after which a track has ended."""
SMALLEST = 100
"""Pixels; the longer mean side of a track's boxes has to be larger."""
_OVERLAP = 0.5  # intersection over union with the last box, above which a face is the same

_SAME_FACE = 0.3  # the same, between boxes of two detectors


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One face in consecutive frames, 25 a second.

    start: number of its first frame. boxes: (n, 4) float64 x0, y0, x1, y1 frame pixels.
    """

    start: int
    boxes: np.ndarray

    @property
    def stop(self) -> int:
        return self.start + len(self.boxes)

    @property
    def audio_span(self) -> tuple[float, float]:
        """From and to, in seconds."""
        return self.start / FRAME_RATE, self.stop / FRAME_RATE

    @property
    def size(self) -> float:
        """The longer mean side of the boxes [pixels]."""
        sides: np.ndarray = (self.boxes[:, 2:] - self.boxes[:, :2]).mean(axis=0)
        return float(sides.max())


def face_tracks(frames: Sequence[Sequence[np.ndarray]], *, start: int = 0) -> list[FaceTrack]:
    """frames: of each frame of one shot the boxes (4,), in the detector's order -> its tracks.

    start: number of the shot's first frame.
    """
    if len(frames) < SHORTEST:
        return []
    free = [list(boxes) for boxes in frames]
    tracks = []
    while any(free):
        numbers, boxes = _taken(free)
        if len(numbers) > SHORTEST:
            track = _interpolated(np.array(numbers) + start, np.stack(boxes))
            if track.size > SMALLEST:
                tracks.append(track)
    return tracks


def shot_tracks(frames: Sequence[Sequence[np.ndarray]], shots: np.ndarray) -> list[FaceTrack]:
    """The tracks of a video, shot by shot. frames: as for face_tracks. shots: (T,) number of each
    frame's shot, rising."""
    borders = [0, *(np.flatnonzero(np.diff(shots)) + 1).tolist(), len(frames)]
    return [
        track
        for begin, stop in pairwise(borders)
        for track in face_tracks(frames[begin:stop], start=begin)
    ]


def long_enough(track: FaceTrack) -> bool:
    return len(track.boxes) > SHORTEST


def follows(track: FaceTrack, others: Sequence[FaceTrack]) -> bool:
    """Whether most of the track is on a face of the others."""
    on = np.zeros(len(track.boxes), bool)
    for other in others:
        for number in range(max(track.start, other.start), min(track.stop, other.stop)):
            box, seen = track.boxes[number - track.start], other.boxes[number - other.start]
            on[number - track.start] |= overlap(box, seen) > _SAME_FACE
    return bool(on.mean() > 0.5)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(np.maximum(sides, 0.0))
    return float(shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared))


def _taken(free: list[list[np.ndarray]]) -> tuple[list[int], list[np.ndarray]]:
    """Takes one track out of the faces that are free: frame numbers and boxes."""
    numbers: list[int] = []
    boxes: list[np.ndarray] = []
    for number, faces in enumerate(free):
        if numbers and number - numbers[-1] > LONGEST_GAP:
            break
        for face in _walked(faces):
            if not boxes or overlap(face, boxes[-1]) > _OVERLAP:
                numbers.append(number)
                boxes.append(face)
                _remove(faces, face)
    return numbers, boxes


def _walked(faces: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The faces by place in the list: after one is removed, the next is passed over.

    Upstream walks a list that it removes from; which face joins which track depends on that.
    """
    place = 0
    while place < len(faces):
        yield faces[place]
        place += 1


def _remove(faces: list[np.ndarray], face: np.ndarray) -> None:
    faces[:] = [other for other in faces if other is not face]


def _interpolated(numbers: np.ndarray, boxes: np.ndarray) -> FaceTrack:
    """numbers: (m,) rising, boxes: (m, 4); gaps are filled linearly."""
    every = np.arange(numbers[0], numbers[-1] + 1)
    filled = [np.interp(every, numbers, column) for column in boxes.T]
    return FaceTrack(int(numbers[0]), np.stack(filled, axis=1))
