"""A portrait with one face, frames made of it, and the talking portrait of the demo video."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import LANDMARKS
from latentsync.media.reader import VideoReader

DEMO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"
PORTRAIT = data.astronaut()
HEAD = np.s_[0:300, 90:390]
"""The part of the portrait that holds the head."""


def room(height: int, width: int, *heads: tuple[int, int, float]) -> np.ndarray:
    """A grey image with heads (x, y, scale) in it."""
    pixels = np.full((height, width, 3), 120, np.uint8)
    for x, y, scale in heads:
        flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        head = cv2.resize(PORTRAIT[HEAD], None, fx=scale, fy=scale, interpolation=flags)
        pixels[y : y + len(head), x : x + len(head)] = head
    return pixels


def talking(count: int) -> list[np.ndarray]:
    """The first frames of the demo video."""
    reader = itertools.islice(VideoReader(str(DEMO)), count)
    return [frame.pixels for frame in reader]


def turned(
    points: np.ndarray, quarters: int, shape: tuple[int, ...] = PORTRAIT.shape
) -> np.ndarray:
    """Points (N, 2) of an image of that shape where np.rot90 takes them."""
    height, width = shape[:2]
    for _ in range(quarters):
        points = np.stack([points[:, 1], width - 1 - points[:, 0]], axis=1)
        height, width = width, height
    return points


def point(face: DetectedFace, name: str) -> np.ndarray:
    return face.landmarks[LANDMARKS.index(name)]
