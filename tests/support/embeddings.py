"""Faces whose appearance is a number, for tests of what follows from appearance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.portraits import Portrait
from latentsync.face.tracks import Track

STEP = 30  # code values from one appearance to the next


class ByLevel:
    """Portraits of one grey level are one person: the level of person n is n * STEP."""

    name = "grey level"
    same, different, margin = 0.7, 0.4, 0.1

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        levels = (portraits.reshape(len(portraits), -1).mean(axis=1) / STEP).round().astype(int)
        return np.eye(9, dtype=np.float32)[levels]


def portrait_of(person: int, seconds: float, quality: float = 1.0) -> Portrait:
    image = np.full((112, 112, 3), person * STEP, np.uint8)
    return Portrait(seconds, quality, cv2.imencode(".png", image)[1].tobytes())


def face(x: float, y: float = 200.0, size: float = 100.0) -> DetectedFace:
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    return DetectedFace(np.full((len(LANDMARKS), 2), (x, y), np.float32), box, 0.9)


def still(number: int, start: int, stop: int, x: float, *, shot: int = 0, **place: float) -> Track:
    """A track whose face stays at x."""
    return Track(number, shot, start, (face(x, **place),) * (stop - start))


def portraits_of(
    looks: Mapping[int, int | Sequence[int]], tracks: Sequence[Track], fps: float = 25
) -> dict[int, list[Portrait]]:
    """looks: track id -> the person seen on it, or the persons on equal parts of it, one after the
    other. Four portraits for each part."""
    made: dict[int, list[Portrait]] = {}
    for track in tracks:
        if track.id not in looks:
            continue
        look = looks[track.id]
        persons = [look] if isinstance(look, int) else list(look)
        frames = np.linspace(track.start, track.stop - 1, 4 * len(persons)).round()
        made[track.id] = [
            portrait_of(persons[index // 4], frame / fps) for index, frame in enumerate(frames)
        ]
    return made
