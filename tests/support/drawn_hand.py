"""A drawn hand that the hand networks take for one."""

from __future__ import annotations

import cv2
import numpy as np

PALM = ((190, 300), (200, 240), (290, 235), (300, 300), (285, 360), (205, 360))
FOREARM = ((212, 350), (280, 480))
FINGERS = (  # base, tip, width: index to little finger, thumb
    ((208, 250), (190, 120), 26),
    ((232, 245), (228, 95), 28),
    ((258, 245), (265, 105), 27),
    ((283, 255), (302, 145), 23),
    ((200, 330), (130, 250), 28),
)
TIPS = np.array([FINGERS[4][1], *(tip for _, tip, _ in FINGERS[:4])], np.float64)
"""(5, 2) x, y: thumb, index, middle, ring and little finger."""
SKIN, WALL = (224, 172, 145), (70, 90, 110)


def drawn_hand() -> np.ndarray:
    """(480, 480, 3) uint8 RGB: an open hand before a wall, darker towards its edges."""
    shape = np.zeros((480, 480), np.uint8)
    cv2.fillConvexPoly(shape, np.array(PALM), 255)
    cv2.rectangle(shape, *FOREARM, 255, -1)
    for base, tip, width in FINGERS:
        cv2.line(shape, base, tip, 255, width, cv2.LINE_AA)
    opacity = cv2.GaussianBlur(shape, (0, 0), 2)[..., None] / 255.0
    depth = cv2.distanceTransform(shape, cv2.DIST_L2, 5)[..., None]
    shaded = np.array(SKIN) * (0.62 + 0.38 * np.clip(depth / 14, 0, 1))
    return (np.array(WALL) * (1 - opacity) + shaded * opacity).astype(np.uint8)
