"""Drawn faces that talk, with landmarks and outline, and things in front of them."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import CONTROL, LANDMARKS, MOUTH
from latentsync.geometry import TEMPLATE
from latentsync.types import Alignment

SIZE = 200, 260  # height, width
SCALE = 0.4  # frame pixels per aligned pixel
SKIN, DARK, BACKGROUND = (200, 150, 120), (60, 25, 25), (70, 90, 80)
RATE = 25
NOISES = 83
"""Frames whose seeds differ by as many have the same noise."""


def corner(number: int, left: float = 40.0) -> np.ndarray:
    """Where the aligned crop's first pixel lies: the head sways."""
    return np.array([left + 3 * np.sin(number / 9), 5 + 2 * np.cos(number / 7)])


def face_at(number: int, left: float = 40.0, opening: float | None = None) -> DetectedFace:
    """opening: of the mouth, aligned pixels; None: it talks."""
    opening = 14 + 12 * np.sin(number / 2) if opening is None else opening
    points = np.zeros((len(LANDMARKS), 2))
    points[CONTROL] = TEMPLATE
    points[3:6] = [[120, 150], [300, 150], [210, 240]]
    points[MOUTH] = [[150, 360], [270, 360], [210, 360 - opening / 2], [210, 360 + opening / 2]]
    points[10] = 210, 500
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, 36, endpoint=False)
    outline = np.array([210, 270]) + np.stack([170 * np.cos(angles), 230 * np.sin(angles)], 1)
    begin = corner(number, left)
    landmarks = (points * SCALE + begin).astype(np.float32)
    outline = (outline * SCALE + begin).astype(np.float32)
    box = np.concatenate([outline.min(axis=0), outline.max(axis=0)]).astype(np.float32)
    return DetectedFace(landmarks, box, 0.9, outline)


def frame_of(*faces: DetectedFace, light: float = 1.0, seed: int = 0) -> np.ndarray:
    """(200, 260, 3) uint8 RGB, with noise of one code value."""
    pixels = np.zeros((*SIZE, 3), np.float32)
    pixels[:] = BACKGROUND
    for face in faces:
        assert face.outline is not None
        cv2.fillPoly(pixels, [np.rint(face.outline).astype(np.int32)], SKIN, cv2.LINE_AA)
        for eye in face.landmarks[3:5]:
            cv2.circle(pixels, _whole(eye), 5, DARK, -1, cv2.LINE_AA)
        left, right, upper, lower = face.landmarks[MOUTH]
        axes = int((right - left)[0] / 2), max(1, int((lower - upper)[1] / 2))
        center = _whole((left + right) / 2)
        cv2.ellipse(pixels, center, (axes[0], axes[1] + 3), 0, 0, 360, (170, 90, 90), -1)
        cv2.ellipse(pixels, center, axes, 0, 0, 360, DARK, -1, cv2.LINE_AA)
    return np.clip(pixels * light + _noise(seed % NOISES), 0, 255).astype(np.uint8)


@cache
def _noise(seed: int) -> np.ndarray:
    """(200, 260, 3) float32, of one code value. Sampling it takes as long as all that is drawn."""
    return np.random.default_rng(seed).normal(0, 1, (*SIZE, 3)).astype(np.float32)


def bar_over(pixels: np.ndarray, top: float, color=(30, 120, 200)) -> np.ndarray:
    """Lays a bar across the frame, in place -> (200, 260) bool, where it is."""
    there = np.zeros(SIZE, bool)
    there[max(0, round(top)) : max(0, round(top) + 24)] = True
    pixels[there] = color
    return there


def alignment_of(face: DetectedFace, number: int, left: float = 40.0, track: int = 0) -> Alignment:
    begin = corner(number, left)
    matrix = np.array([[1, 0, -begin[0]], [0, 1, -begin[1]]]) / SCALE
    return Alignment(matrix.astype(np.float32), face.landmarks, 0.9, track, face.outline)


def _whole(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
