"""The face mesh: 468 points of a face in a region."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.face.landmarks import MESH_SIZE
from latentsync.face.models.finder import Find
from latentsync.face.models.following import Look
from latentsync.face.models.regions import Region, cut, direction
from latentsync.runtime.model_file import ModelRunner

FACE_MARGIN = 1.5
"""Side of a face's region, in longer sides of its box."""
EYE_LEFT, EYE_RIGHT = 33, 263
"""Outer corners of the eyes in the mesh, the viewer's left first; they say how a face is tilted."""


class FaceMesh:
    """One network; for one thread at a time. 2 ms."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointError for a file that cannot be read."""
        self._network = ModelRunner(path)
        self._side = self._network.shapes[0][1]

    def __call__(self, frame: np.ndarray, region: Region) -> Look:
        """frame: (H, W, 3) uint8 RGB -> 468 points, even where there is no face: see presence."""
        pixels = cut(frame, region, self._side).astype(np.float32)
        raw, logit = self._network(pixels[None] / 255)
        inside = raw.reshape(MESH_SIZE, 3)[:, :2] / self._side
        points = region.points(inside)
        presence = 1 / (1 + np.exp(-np.clip(float(logit.ravel()[0]), -100, 100)))
        return Look(points, float(presence), region_of_mesh(points))


def region_of_find(find: Find) -> Region:
    """The region of a face that was found."""
    angle = direction(find.points[0], find.points[1], 0.0)
    place = find.place
    return Region(place.x, place.y, place.width, place.height, angle).square(FACE_MARGIN)


def region_of_mesh(points: np.ndarray) -> Region:
    """(468, 2) frame pixels -> the face's region in the next frame."""
    angle = direction(points[EYE_LEFT], points[EYE_RIGHT], 0.0)
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (width, height) = (low + high) / 2, high - low
    return Region(float(x), float(y), float(width), float(height), angle).square(FACE_MARGIN)
