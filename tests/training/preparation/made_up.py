"""Made-up faces, people and sources for the steps of the preparation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import CONTROL, LANDMARKS
from latentsync.face.people import Person
from latentsync.face.tracks import Track
from latentsync.geometry import TEMPLATE, similarity
from latentsync.training.preparation.manifest import Row
from latentsync.training.preparation.record import Clip, Record
from latentsync.types import Alignment


def face(width: float = 200.0, left: float = 0.0) -> DetectedFace:
    box = np.array([left, 0, left + width, width * 1.2], np.float32)
    return DetectedFace(np.zeros((len(LANDMARKS), 2), np.float32), box, 0.9)


def person(number: int, *tracks: tuple[int, int], width: float = 200.0) -> Person:
    """tracks: first frame and the one after the last of each; their ids count from 10 * number."""
    made = tuple(
        Track(10 * number + place, 0, start, (face(width),) * (stop - start))
        for place, (start, stop) in enumerate(tracks)
    )
    return Person(number, made, tuple((a / 25, b / 25) for a, b in tracks), ())


def alignment(side: int) -> Alignment:
    """A face that fills most of a square frame of that side."""
    scale = side / 560
    points = np.zeros((len(LANDMARKS), 2), np.float32)
    points[CONTROL] = TEMPLATE * scale + [side / 8, 0]
    points[3:] = np.linspace([0.3 * side, 0.3 * side], [0.7 * side, 0.8 * side], 8)
    outline = np.array([[0.2, 0.1], [0.8, 0.1], [0.8, 0.9], [0.2, 0.9]], np.float32) * side
    matrix = similarity(points[CONTROL], TEMPLATE)
    return Alignment(matrix, points, 0.9, 0, outline)


def clip(source: str, number: int = 0, *, seconds: float = 6.0, person: int = 1) -> Clip:
    name = f"{source}-key_s000p{person}t0_{number:02d}"
    return Clip(name, Path(f"{name}.mp4"), f"{source}.mp4", source, 0.0, seconds, person, {})


def record(*clips: Clip, **vectors: np.ndarray) -> Record:
    """vectors: by number of a person, as p1=..."""
    rows = tuple(Row(one.name, one.source, one.start, one.end, "sync", "kept") for one in clips)
    return Record(rows, clips, {int(name[1:]): v for name, v in vectors.items()}, Path())
