"""The interfaces of face detection, and the table of the built-in ones.

A session uses a FaceTracker. That is either one object that does everything, or a FaceDetector
(boxes) and a Landmarker (points in a box), joined and followed by face.mesh_tracker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from latentsync.face.models.following import Look
from latentsync.face.models.regions import Region
from latentsync.plugins import find_plugin


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """One face in one frame.

    landmarks: (len(LANDMARKS), 2) float32, frame pixels (x, y), an integer is a pixel's centre.
    box: (4,) float32 x0, y0, x1, y1 in frame pixels, may reach beyond the frame.
    confidence: of the detector, 0..1.
    outline: (K, 2) float32, frame pixels: the closed outline of the face, point by point; None: the
        face model has none.
    """

    landmarks: np.ndarray
    box: np.ndarray
    confidence: float
    outline: np.ndarray | None = None

    @property
    def center(self) -> np.ndarray:
        return (self.box[:2] + self.box[2:]) / 2

    @property
    def area(self) -> float:
        width, height = self.box[2:] - self.box[:2]
        return float(max(width, 0.0) * max(height, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class FaceBox:
    """Where a face is, without its landmarks.

    box: (4,) x0, y0, x1, y1 in frame pixels. score: 0..1. points: (K, 2) frame pixels, of which the
    first two are the eyes (the person's right one first); None: the detector gives none, and the
    face is taken as upright.
    """

    box: np.ndarray
    score: float
    points: np.ndarray | None = None


class FaceDetector(Protocol):
    """Boxes of the faces in one frame; no state."""

    def __call__(self, pixels: np.ndarray) -> list[FaceBox]:
        """pixels: (H, W, 3) uint8 RGB, contiguous -> the faces, best first."""
        ...


class Landmarker(Protocol):
    """The points of one face."""

    def __call__(self, frame: np.ndarray, region: Region) -> Look:
        """frame: (H, W, 3) uint8 RGB. region: where a face is thought to be, or was just now."""
        ...

    def landmarks(self, frame: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray | None]:
        """look: the last one at this frame -> (len(LANDMARKS), 2) float32 frame pixels, and the
        face's outline (K, 2), or None."""
        ...


@runtime_checkable
class FaceTracker(Protocol):
    """Faces of consecutive frames of one video; it may follow them; reset() is called at a cut."""

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        """pixels: (H, W, 3) uint8 RGB -> the faces, largest first; empty where there is none."""
        ...

    def reset(self) -> None:
        """The next frame is unrelated to the last one."""
        ...


DetectorLoader = Callable[[int, float], FaceTracker | FaceDetector]
"""(max_faces, min_confidence) -> a tracker, or a detector; raises a LatentSyncError.

One with a parameter `folders` gets, by name, the folders that weights are searched in.
"""

DETECTORS: dict[str, str] = {
    "mediapipe": "latentsync.face.mesh_tracker:load",
    "insightface": "latentsync.face.insightface_detector:load",
}


def load_detector(
    name: str,
    *,
    max_faces: int = 4,
    min_confidence: float = 0.5,
    folders: Sequence[str | Path] = (),
) -> FaceTracker:
    """Loads by a name in DETECTORS, or ``package.module:attribute`` of a DetectorLoader.

    Has a state: one for each video. What the loader makes is used as it is if it can be reset; a
    mere FaceDetector gets the face mesh for its landmarks. folders: see weights.find. Raises
    UnknownPluginError where neither is found, and whatever the loader raises.
    """
    loader: DetectorLoader = find_plugin("face detector", name, DETECTORS)
    options = {"folders": folders} if "folders" in inspect.signature(loader).parameters else {}
    loaded = loader(max_faces, min_confidence, **options)
    if isinstance(loaded, FaceTracker):
        return loaded
    from latentsync.face.mesh_tracker import joined  # which imports this module

    return joined(loaded, max_faces, min_confidence, folders)


def largest_first(faces: list[DetectedFace], max_faces: int) -> list[DetectedFace]:
    return sorted(faces, key=lambda face: face.area, reverse=True)[:max_faces]
