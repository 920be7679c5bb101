"""The built-in tracker: faces are found once, and then followed by their mesh.

The first result for a face is up to 5 px off, and one after a fast movement by a fifth of that:
such a face is looked at again until its points converge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace, FaceBox, FaceDetector, Landmarker, largest_first
from latentsync.face.finding import FarFaces, FirstFinds, NearFaces, Search, TurnedFrames, region
from latentsync.face.models.finder import FAR_FACES, NEAR_FACES, Finder
from latentsync.face.models.following import Follower, Look
from latentsync.face.models.mesh import FaceMesh
from latentsync.face.models.regions import Region
from latentsync.weights.find import find, find_all
from latentsync.weights.manifest import FACE_FINDER, FACE_MESH, SMALL_FACE_FINDER

MAX_SIDE = 1920
"""Larger frames are downscaled by a whole number. Halving 4K moves the points by 0.04 px."""

SETTLE_PASSES = 6
STILL = 0.003
"""Mean movement of the points between two looks at one frame, in face sizes, that counts as
converged. Each look leaves a fifth to a half of the previous error."""
SETTLED = 0.006
"""The same where the face had moved by less than BRISK: half of that error is left."""
BRISK = 0.06
CALM = 0.012
"""The same between two frames, above which a face is looked at again. 2.2 to 3.6 looks a frame on
four clips with much motion, the one for the final mean included; the aligned crop's corners lie
0.4 to 0.8 px from those after eight looks."""
SAME_FACE = 0.4
"""Two meshes whose centres are nearer than this, in face sizes, lie on one face: also one that is
the wrong way up. The centres of two heads side by side are 0.8 and more apart."""


def load(max_faces: int, min_confidence: float, folders: Sequence[str | Path] = ()) -> MeshTracker:
    """Raises CheckpointError where a model file is missing or damaged."""
    wanted = [(FACE_FINDER, None), (SMALL_FACE_FINDER, None), (FACE_MESH, None)]
    near, far, mesh = find_all(wanted, folders=folders)
    finder = Finder(near, NEAR_FACES)
    searches = (
        NearFaces(finder, min_confidence),
        FarFaces(Finder(far, FAR_FACES), finder, min_confidence),
    )
    return MeshTracker(searches, FaceMesh(mesh), max_faces, min_confidence)


def joined(
    detector: FaceDetector,
    max_faces: int,
    min_confidence: float,
    folders: Sequence[str | Path] = (),
) -> MeshTracker:
    """A detector of boxes, with the face mesh. Raises CheckpointError."""
    mesh = FaceMesh(find(FACE_MESH, folders=folders))
    search = TurnedFrames(detector, min_confidence)
    return MeshTracker((search,), mesh, max_faces, min_confidence)


class MeshTracker:
    """A FaceTracker. Deterministic for the same frames in the same order.

    State of one video: for one thread at a time; any number run in parallel.
    """

    def __init__(
        self,
        searches: Sequence[Search],
        landmarker: Landmarker,
        max_faces: int,
        min_confidence: float,
    ) -> None:
        """searches: see FirstFinds."""
        self._landmarker = landmarker
        self._max_faces, self._floor = max_faces, min_confidence
        self._first = FirstFinds(searches, self._from_region)
        self._follower = Follower(
            self._find, landmarker, at_most=max_faces, presence=min_confidence
        )
        self.reset()

    def reset(self) -> None:
        """The next frame is unrelated to the last one."""
        self._follower.reset()
        self._first.reset()
        self._boxes: list[FaceBox] = []
        self._scores: list[float] = []

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        """Contract of FaceTracker."""
        frame, factor = _reduced(pixels)
        before = self._follower.looks
        faces = self._followed(frame) if before else []
        if faces:
            self._first.followed()
        else:
            faces = self._first(frame)
        faces = _distinct(faces, before)
        if len(faces) < len(before):
            self._first.lost()
        self._follower.looks = [look for look, _ in faces]
        self._scores = [score for _, score in faces]
        detected = [self._detected(frame, look, score, factor) for look, score in faces]
        return largest_first(detected, self._max_faces)

    def _followed(self, frame: np.ndarray) -> list[tuple[Look, float]]:
        before, scores = self._follower.looks, self._scores
        self._boxes = []
        looks = [self._settled(frame, look, before) for look in self._follower(frame)]
        known = [
            (look.points.mean(axis=0), score) for look, score in zip(before, scores, strict=True)
        ]
        known = [((b.box[:2] + b.box[2:]) / 2, b.score) for b in self._boxes] + known
        return [(look, self._score(look, known)) for look in looks if look is not None]

    def _find(self, frame: np.ndarray) -> list[Region]:
        self._boxes = self._first.further(frame)
        return [region(box) for box in self._boxes]

    def _score(self, look: Look, known: Sequence[tuple[np.ndarray, float]]) -> float:
        """The mesh has no score: that of the nearest find, or that of the face so far."""
        center = _center(look)
        near = [(float(np.linalg.norm(center - place)), score) for place, score in known]
        distance, score = min(near, default=(math.inf, self._floor))
        return score if distance < _size(look) else self._floor

    def _from_region(self, frame: np.ndarray, place: Region) -> Look | None:
        look = self._landmarker(frame, place)
        return self._settled(frame, look, ()) if look.presence > self._floor else None

    def _settled(self, frame: np.ndarray, look: Look, before: Sequence[Look]) -> Look | None:
        """Looks again until the points converge; None: they leave the face."""
        moved = min((_movement(look, old) for old in before), default=math.inf)
        if moved < CALM:
            return look
        limit = SETTLED if moved < BRISK else STILL
        for _ in range(SETTLE_PASSES):
            last, look = look, self._landmarker(frame, look.region)
            if look.presence <= self._floor:
                return None
            if _movement(look, last) < limit:
                break
        return look

    def _detected(self, frame: np.ndarray, look: Look, score: float, factor: int) -> DetectedFace:
        landmarks, outline = self._landmarker.landmarks(frame, look)
        low, high = look.points.min(axis=0), look.points.max(axis=0)
        box = _enlarged(np.stack([low, high]), factor).flatten()  # no view of another array
        outline = None if outline is None else _enlarged(outline, factor)
        return DetectedFace(_enlarged(landmarks, factor), box, score, outline)


def _distinct(
    faces: Sequence[tuple[Look, float]], before: Sequence[Look]
) -> list[tuple[Look, float]]:
    """Without a second mesh on a face that is followed already: a find may lie too far aside."""
    kept: list[tuple[Look, float]] = []
    for look, score in sorted(
        faces, key=lambda face: min((_movement(face[0], old) for old in before), default=0)
    ):
        if all(_apart(look, other) > SAME_FACE for other, _ in kept):
            kept.append((look, score))
    return kept


def _movement(look: Look, old: Look) -> float:
    """Mean movement of the points, in face sizes: the longer side of their box."""
    distance = np.linalg.norm(look.points - old.points, axis=1).mean()
    return float(distance / _size(look))


def _apart(look: Look, other: Look) -> float:
    """Distance of the centres, in sizes of the smaller face."""
    distance = np.linalg.norm(_center(look) - _center(other))
    return float(distance / min(_size(look), _size(other)))


def _center(look: Look) -> np.ndarray:
    return (look.points.min(axis=0) + look.points.max(axis=0)) / 2


def _size(look: Look) -> float:
    """The longer side of the points' box, pixels."""
    return float(max(1.0, *np.ptp(look.points, axis=0)))


def _reduced(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    factor = math.ceil(max(pixels.shape[:2]) / MAX_SIDE)
    if factor == 1:
        return np.ascontiguousarray(pixels), 1
    height, width = (side // factor for side in pixels.shape[:2])
    whole = pixels[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), factor


def _enlarged(points: np.ndarray, factor: int) -> np.ndarray:
    """(N, 2) float32, from pixels of the reduced frame to those of the frame."""
    return (points * factor + (factor - 1) / 2).astype(np.float32)
