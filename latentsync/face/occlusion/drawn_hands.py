"""Hands as areas: their 21 points drawn as strokes."""

from __future__ import annotations

import cv2
import numpy as np

from latentsync.face.occlusion.cells import COLUMNS, ROWS

FINGERS = (
    (1, 2, 3, 4),
    (5, 6, 7, 8),
    (9, 10, 11, 12),
    (13, 14, 15, 16),
    (17, 18, 19, 20),
)
PALM = (0, 1, 5, 9, 13, 17)
WRIST, MIDDLE = 0, 9
FINGER_WIDTH, ARM_WIDTH, ARM_LENGTH = 0.45, 0.75, 2.2
"""In distances from the wrist to the middle finger's base."""


def drawn_hand(points: np.ndarray) -> np.ndarray:
    """points: (21, 2) cells -> (ROWS, COLUMNS) uint8, 1 on fingers, palm and forearm."""
    area = np.zeros((ROWS, COLUMNS), np.uint8)
    palm = points[MIDDLE] - points[WRIST]
    length = float(np.linalg.norm(palm))
    if not 1 <= length < 4 * ROWS:  # neither a point nor far beyond the face
        return area
    corners = np.rint(points).astype(np.int32)
    width = max(1, round(FINGER_WIDTH * length))
    for finger in FINGERS:
        cv2.polylines(area, [corners[list(finger)]], False, 1, width)
    cv2.fillConvexPoly(area, cv2.convexHull(corners[list(PALM)]), 1)
    cv2.polylines(area, [corners[list(PALM)]], True, 1, width)
    elbow = np.rint(points[WRIST] - ARM_LENGTH * palm).astype(np.int32)
    arm = max(1, round(ARM_WIDTH * length))
    cv2.line(area, tuple(map(int, corners[WRIST])), tuple(map(int, elbow)), 1, arm)
    return area
