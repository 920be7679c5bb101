"""The face mesh: 468 points of a face in a region."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.face.landmarks import FACE_OVAL, MESH_SIZE, from_mesh
from latentsync.face.models.following import Look
from latentsync.face.models.regions import Region, cut, direction
from latentsync.runtime.model_file import ModelRunner

FACE_MARGIN = 1.5
"""Side of a face's region, in longer sides of its box."""
WIDE = 1.12
"""The second region whose points are averaged with the first one's, for each frame's final result.
The lips' aperture follows that of MediaPipe's attention mesh more closely (17 clips; r 0.78 to 0.85
on one, 0.89 to 0.92 on another, on the others within 0.02), and noise in the frame moves the points
10 to 40 % less."""
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

    def landmarks(self, frame: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
        """(len(LANDMARKS), 2) and (36, 2) float32 frame pixels: the landmarks, and the outline of
        the face, of a look that has converged."""
        points = self.steady(frame, look)
        return from_mesh(points), points[list(FACE_OVAL)].astype(np.float32)

    def steady(self, frame: np.ndarray, look: Look) -> np.ndarray:
        """(468, 2) float64 frame pixels: all points of a look that has converged; see WIDE."""
        region = look.region
        wide = Region(region.x, region.y, WIDE * region.width, WIDE * region.height, region.angle)
        return (look.points + self(frame, wide).points) / 2


def region_of_face(box: np.ndarray, points: np.ndarray | None = None) -> Region:
    """The region of a face that was found.

    box: (4,) x0, y0, x1, y1 frame pixels. points: (K, 2), the eyes first; None: it is upright.
    """
    angle = 0.0 if points is None else direction(points[0], points[1], 0.0)
    return _around(box[:2], box[2:], angle)


def region_of_mesh(points: np.ndarray) -> Region:
    """(468, 2) frame pixels -> the face's region in the next frame."""
    angle = direction(points[EYE_LEFT], points[EYE_RIGHT], 0.0)
    return _around(points.min(axis=0), points.max(axis=0), angle)


def _around(low: np.ndarray, high: np.ndarray, angle: float) -> Region:
    (x, y), (width, height) = (low + high) / 2, high - low
    return Region(float(x), float(y), float(width), float(height), angle).square(FACE_MARGIN)
