"""The interface of face detectors, and the table of the built-in ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

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


@runtime_checkable
class FaceDetector(Protocol):
    """Detects faces in consecutive frames; it may track them; reset() is called at a cut."""

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        """pixels: (H, W, 3) uint8 RGB -> the faces, largest first; empty where there is none."""
        ...

    def reset(self) -> None:
        """The next frame is unrelated to the last one."""
        ...


DetectorLoader = Callable[[int, float], FaceDetector]
"""(max_faces, min_confidence) -> a detector; raises a LatentSyncError."""

DETECTORS: dict[str, str] = {
    "mediapipe": "latentsync.face.mediapipe_detector:load",
    "insightface": "latentsync.face.insightface_detector:load",
}


def load_detector(name: str, *, max_faces: int = 4, min_confidence: float = 0.5) -> FaceDetector:
    """Loads by a name in DETECTORS, or ``package.module:attribute`` of a DetectorLoader.

    Raises UnknownPluginError where neither is found, and whatever the loader raises.
    """
    loader: DetectorLoader = find_plugin("face detector", name, DETECTORS)
    return loader(max_faces, min_confidence)


def largest_first(faces: list[DetectedFace], max_faces: int) -> list[DetectedFace]:
    return sorted(faces, key=lambda face: face.area, reverse=True)[:max_faces]
