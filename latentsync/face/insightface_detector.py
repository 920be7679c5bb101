"""Face detection by insightface, LatentSync's own detector: optional, not installed by default.

The package is MIT; its model packs (buffalo_l here, downloaded by the package itself) are for
non-commercial research only, hence not the default.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.errors import CheckpointError, ConfigError
from latentsync.face.detector import DetectedFace, FaceTracker, largest_first
from latentsync.face.landmarks import from_106

logger = logging.getLogger(__name__)

MODEL_ROOT = "checkpoints/auxiliary"
PACK = "buffalo_l"
MODEL_FILES = ("det_10g.onnx", "2d106det.onnx")
"""The two of the pack's five models that are used: face detection, and 106 landmarks."""

DETECTION_SIZE = (512, 512)
MIN_WIDTH, MIN_HEIGHT = 50, 80
MIN_ASPECT, MAX_ASPECT = 0.2, 1.5
"""LatentSync face_detector.py:28-41: smaller, wider or narrower faces are ignored."""


def ensure_models(*, offline: bool) -> None:
    """Raises CheckpointError where models are missing and load() cannot, or must not, fetch them.

    The package downloads the pack only where its folder is missing.
    """
    folder = Path(MODEL_ROOT, "models", PACK)
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing and (offline or folder.exists()):
        what = f"models of the face detector insightface not found ({', '.join(missing)})"
        fetch = "run once without --offline" if offline else "the package fetches them again"
        put = f"put the pack {PACK} there, or {fetch}, or choose face.detector=mediapipe"
        remedy = f"remove this folder, which is not complete; then {put}"
        raise CheckpointError(what, folder, remedy if folder.exists() else put)


def load(max_faces: int, min_confidence: float) -> FaceTracker:
    """ConfigError where the package is not installed. See ensure_models."""
    try:
        import onnxruntime
        from insightface.app import FaceAnalysis
    except ImportError as error:
        remedy = "pip install insightface onnxruntime, or choose face.detector=mediapipe"
        raise ConfigError(
            "the face detector insightface is not installed", error, remedy
        ) from error
    logger.warning("insightface's models are licensed for non-commercial research only")
    analysis = FaceAnalysis(
        name=PACK,
        allowed_modules=["detection", "landmark_2d_106"],
        root=MODEL_ROOT,
        providers=onnxruntime.get_available_providers(),
    )
    analysis.prepare(ctx_id=0, det_thresh=min_confidence, det_size=DETECTION_SIZE)
    return InsightfaceDetector(analysis, max_faces, min_confidence)


class InsightfaceDetector:
    """Detects faces in every frame independently; no state.

    analysis: insightface's FaceAnalysis, or anything whose get(pixels BGR) returns objects with
    bbox (4,), det_score and landmark_2d_106 (106, 2), in pixels.
    """

    def __init__(self, analysis: Any, max_faces: int, min_confidence: float) -> None:
        self._analysis = analysis
        self._max_faces = max_faces
        self._min_confidence = min_confidence

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        """Contract of FaceTracker."""
        # The networks expect BGR; upstream gives them RGB by mistake.
        faces = self._analysis.get(np.ascontiguousarray(pixels[..., ::-1]))
        found = [_detected(face) for face in faces if self._usable(face)]
        return largest_first(found, self._max_faces)

    def reset(self) -> None:
        pass

    def _usable(self, face: Any) -> bool:
        left, top, right, bottom = (int(side) for side in face.bbox)
        width, height = right - left, bottom - top
        return (
            width >= MIN_WIDTH
            and height >= MIN_HEIGHT
            and MIN_ASPECT <= width / height <= MAX_ASPECT
            and face.det_score >= self._min_confidence
            and face.landmark_2d_106 is not None
        )


def _detected(face: Any) -> DetectedFace:
    landmarks = from_106(np.asarray(face.landmark_2d_106))
    return DetectedFace(landmarks, np.asarray(face.bbox, np.float32), float(face.det_score))
