"""Face detection by mediapipe's face mesh: 478 points; the models are part of the wheel.

The mesh tracks a face from frame to frame instead of detecting it in each frame. On a 1080x1920
clip with a face 190 px wide it is found in 250 of 250 frames (215 by detection), and on one frame
repeated with new noise the points jitter by 0.1 px (1.6 px by detection). In return the first
result for a face is up to 5 px off, and one after a fast movement by a fifth of that: such a frame
is processed again until the points converge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from latentsync.errors import ConfigError
from latentsync.face.detector import DetectedFace, FaceDetector, largest_first
from latentsync.face.landmarks import MESH_SIZE, from_mesh

MESH_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"
MAX_SIDE = 1920
"""Larger frames are downscaled by a whole number: other factors are slow (1080p to 720p takes
17 ms, more than the mesh itself). Halving 4K moves the points by 0.04 px."""

SETTLE_PASSES = 6
STILL = 0.003
"""Mean movement of the points between two passes over one frame, in face widths, that counts as
converged. Each pass leaves a fifth to a half of the previous error."""
SETTLED = 0.006
"""The same where the face had moved by less than BRISK: half of that error is left."""
BRISK = 0.06
CALM = 0.015
"""The same between two frames, above which a frame is processed again. On a clip with much motion
1.7 passes a frame, and the crop's corners 1.05 px from the result of seven passes on average; with
0.02, until the points are STILL, 1.9 passes and 1.16 px."""
SAME_FACE = 0.25
"""Two meshes nearer than this, in face widths, lie on one face."""

FULL_RANGE = 1
"""mediapipe's number of its full-range face detector (up to 5 m)."""
ZOOM_SIDE = 512
ZOOM_MARGIN = 2.5
"""A face too small for the mesh's own short-range detector is cropped in a square of ZOOM_MARGIN
face sizes and resized to ZOOM_SIDE pixels."""


_ScoredMesh = tuple[np.ndarray, float]


def load(max_faces: int, min_confidence: float) -> FaceDetector:
    """Raises ConfigError where mediapipe is missing, or a release without models."""
    return MediapipeDetector(max_faces, min_confidence)


class MediapipeDetector:
    """Deterministic for the same frames in the same order.

    It tracks faces from the previous frame: use one for each video, in one thread at a time; any
    number run in parallel. 7 to 15 ms for a 1080p frame on one core, 20 to 50 ms for a frame
    without a face or with small ones only. Small faces are detected only where no large one is.
    """

    def __init__(self, max_faces: int, min_confidence: float) -> None:
        self._max_faces = max_faces
        self._min_confidence = min_confidence
        self._mesh = _Mesh(max_faces, min_confidence)

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        """Contract of FaceDetector."""
        reduced, factor = _reduce(pixels)
        faces = [_resized(face, factor) for face in self._mesh(reduced)]
        return largest_first(faces or self._small_faces(pixels, reduced, factor), self._max_faces)

    def reset(self) -> None:
        """The next frame is unrelated to the last one. 20 ms."""
        self._mesh.reset()
        if "_zoomed" in vars(self):
            self._zoomed.reset()

    @cached_property
    def _zoomed(self) -> _Mesh:
        """For enlarged small faces; created on first use, in 40 ms."""
        return _Mesh(1, self._min_confidence)

    @cached_property
    def _full_range(self) -> Any:
        """Detector of small faces; created for the first frame without a large face."""
        return _full_range_detector(self._min_confidence)

    def _small_faces(
        self, pixels: np.ndarray, reduced: np.ndarray, factor: int
    ) -> list[DetectedFace]:
        """Faces from about a twentieth of the frame's short side on."""
        found: list[DetectedFace] = []
        for center, size in _search(self._full_range, reduced):
            face = self._detect_enlarged(pixels, center * factor, size * factor)
            if face is not None and not any(_same_place(face, other) for other in found):
                found.append(face)
        return found

    def _detect_enlarged(
        self, pixels: np.ndarray, center: np.ndarray, size: float
    ) -> DetectedFace | None:
        corner, window = _window(pixels, center, size)
        if window.size == 0:
            return None
        scale = ZOOM_SIDE / max(window.shape[:2])
        enlarged = cv2.resize(window, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        faces = self._zoomed(enlarged, follow=False)
        return _resized(faces[0], 1 / scale, corner) if faces else None


class _Mesh:
    """The mesh graph, and its last result: points (478, 2) in pixels and score of each face."""

    def __init__(self, max_faces: int, min_confidence: float) -> None:
        self._graph = _mesh_graph(max_faces, min_confidence)
        self._floor = min_confidence
        self._last: list[_ScoredMesh] = []
        self.reset()

    def __call__(self, pixels: np.ndarray, *, follow: bool = True) -> list[DetectedFace]:
        before, self._last = self._last, self._detect(pixels)
        calm = len(self._last) >= len(before) and _moved_less(self._last, before, CALM)
        still = SETTLED if follow and _moved_less(self._last, before, BRISK) else STILL
        for _ in range(0 if calm and follow else SETTLE_PASSES):
            before, self._last = self._last, self._detect(pixels)
            if _moved_less(self._last, before, still):
                break
        return [_face(points, score) for points, score in self._last]

    def reset(self) -> None:
        self._graph.reset()
        self._last = self._detect(np.zeros((64, 64, 3), np.uint8))

    def _detect(self, pixels: np.ndarray) -> list[_ScoredMesh]:
        result = self._graph.process({"image": np.ascontiguousarray(pixels)})
        # A normalised 0 is the centre of the first pixel: so a frame and its half agree.
        size = np.array(pixels.shape[1::-1], np.float64)
        meshes = [
            np.array([(point.x, point.y) for point in mesh.landmark]) * size
            for mesh in result.multi_face_landmarks or []
        ]
        found = [(_center(one) * size, one.score[0]) for one in result.face_detections or []]
        return _distinct([(mesh, self._score(mesh, found)) for mesh in meshes], self._last)

    def _score(self, mesh: np.ndarray, found: list[tuple[np.ndarray, float]]) -> float:
        """The mesh has no score. Uses that of the detector, which runs only while there are fewer
        faces than max_faces, or else the previous score of the face."""
        near = [(np.linalg.norm(mesh.mean(axis=0) - center), score) for center, score in found]
        near += [(_movement(mesh, old) * np.ptp(mesh[:, 0]), score) for old, score in self._last]
        distance, score = min(near, default=(math.inf, self._floor))
        return float(score) if distance < np.ptp(mesh[:, 0]) else self._floor


def _distinct(seen: list[_ScoredMesh], before: list[_ScoredMesh]) -> list[_ScoredMesh]:
    """Removes a second mesh on a face that is tracked already, as mediapipe sometimes adds one."""
    by_age = sorted(
        seen, key=lambda one: min((_movement(one[0], old) for old, _ in before), default=0)
    )
    kept: list[_ScoredMesh] = []
    for mesh, score in by_age:
        if all(_movement(mesh, other) > SAME_FACE for other, _ in kept):
            kept.append((mesh, score))
    return kept


def _movement(mesh: np.ndarray, old: np.ndarray) -> float:
    """Mean movement of the points, in face widths."""
    return float(np.linalg.norm(mesh - old, axis=1).mean() / max(np.ptp(mesh[:, 0]), 1.0))


def _moved_less(seen: list[_ScoredMesh], before: list[_ScoredMesh], limit: float) -> bool:
    return all(any(_movement(mesh, old) < limit for old, _ in before) for mesh, _ in seen)


def _face(points: np.ndarray, score: float) -> DetectedFace:
    box = np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)
    return DetectedFace(from_mesh(points[:MESH_SIZE]), box, score)


def _resized(face: DetectedFace, factor: float, corner: tuple[int, int] = (0, 0)) -> DetectedFace:
    """The same face in an image `factor` times as large, whose first pixel is at `corner`."""
    shift = np.array(corner) + (factor - 1) / 2
    landmarks = (face.landmarks * factor + shift).astype(np.float32)
    box = (face.box * factor + np.tile(shift, 2)).astype(np.float32)
    return DetectedFace(landmarks, box, face.confidence)


def _reduce(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    factor = math.ceil(max(pixels.shape[:2]) / MAX_SIDE)
    if factor == 1:
        return pixels, 1
    height, width = (side // factor for side in pixels.shape[:2])
    whole = pixels[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), factor


def _search(detector: Any, pixels: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """Centre (x, y) and size of each detection, in pixels. Square tiles cover the frame, as the
    detector resizes its input to 192 x 192 pixels."""
    side, length = sorted(pixels.shape[:2])
    for start in np.linspace(0, length - side, math.ceil(length / side)).astype(int):
        tile = pixels[:, start : start + side] if len(pixels) == side else pixels[start:][:side]
        offset = (start, 0) if len(pixels) == side else (0, start)
        for one in detector.process(np.ascontiguousarray(tile)).detections or []:
            box = one.location_data.relative_bounding_box
            yield _center(one) * side + offset, max(box.width, box.height) * side


def _window(
    pixels: np.ndarray, center: np.ndarray, size: float
) -> tuple[tuple[int, int], np.ndarray]:
    """The first pixel (x, y) and the pixels of the square around a detection, cut at the frame."""
    limit = np.array(pixels.shape[1::-1])
    low = np.clip(np.floor(center - ZOOM_MARGIN / 2 * size), 0, limit).astype(int)
    high = np.clip(np.ceil(center + ZOOM_MARGIN / 2 * size), 0, limit).astype(int)
    return (int(low[0]), int(low[1])), pixels[low[1] : high[1], low[0] : high[0]]


def _same_place(one: DetectedFace, other: DetectedFace) -> bool:
    width = float(one.box[2] - one.box[0])
    return float(np.linalg.norm(one.center - other.center)) < SAME_FACE * width


def _center(detection: Any) -> np.ndarray:
    box = detection.location_data.relative_bounding_box
    return np.array([box.xmin + box.width / 2, box.ymin + box.height / 2])


def _mesh_graph(max_faces: int, min_confidence: float) -> Any:
    """mediapipe's FaceMesh with an additional output: the face detector's scores."""
    try:
        from mediapipe.python.solution_base import SolutionBase
    except ImportError as error:
        raise _unusable(error) from error
    finder = "facedetectionshortrangecpu__facedetectionshortrange__facedetection"
    return SolutionBase(
        binary_graph_path=MESH_GRAPH,
        side_inputs={
            "num_faces": max_faces,
            "with_attention": True,
            "use_prev_landmarks": True,
        },
        calculator_params={
            f"{finder}__TensorsToDetectionsCalculator.min_score_thresh": min_confidence,
            "facelandmarkcpu__ThresholdingCalculator.threshold": min_confidence,
        },
        outputs=["multi_face_landmarks", "face_detections"],
    )


def _full_range_detector(min_confidence: float) -> Any:
    try:
        from mediapipe.python.solutions.face_detection import FaceDetection
    except ImportError as error:
        raise _unusable(error) from error
    return FaceDetection(model_selection=FULL_RANGE, min_detection_confidence=min_confidence)


def _unusable(error: ImportError) -> ConfigError:
    remedy = "pip install mediapipe==0.10.14; later releases do not include the models"
    return ConfigError("the face detector mediapipe cannot be used", error, remedy)
