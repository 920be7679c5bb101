"""The photograph that the demo video is made from, enlarged, and where its face lies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.face.models.finder import NEAR_FACES, Finder
from latentsync.face.models.mesh import FaceMesh, region_of_face
from latentsync.face.models.regions import around
from latentsync.weights.find import find
from latentsync.weights.manifest import FACE_FINDER, FACE_MESH

SCALE = 2.3
"""Base pixels per portrait pixel: makes the face about 210 px wide."""
CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """pixels: (H, W, 3) uint8 RGB. mesh: (468, 2) float32, pixels (x, y), MediaPipe's face mesh."""

    pixels: np.ndarray
    mesh: np.ndarray


def load_portrait() -> Portrait:
    from skimage import data

    pixels = enlarge(data.astronaut(), SCALE)
    return Portrait(pixels, find_mesh(pixels))


def enlarge(pixels: np.ndarray, scale: float) -> np.ndarray:
    """pixels: (H, W, 3) uint8 -> (H * scale, W * scale, 3) uint8, as crisp as the source allows.

    Back-projection (shrinking the result gives the source again) keeps the eyes and hair crisp, so
    that a mouth softened later differs from the face around it as it does in a generated video.
    """
    source = pixels.astype(np.float32)
    height, width = source.shape[:2]
    size = (round(width * scale), round(height * scale))
    big: np.ndarray = cv2.resize(source, size, interpolation=cv2.INTER_LANCZOS4)
    for _ in range(6):
        error = source - cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)
        big = big + cv2.resize(error, size, interpolation=cv2.INTER_CUBIC)
    big = big + 0.3 * (big - cv2.GaussianBlur(big, (0, 0), 1.2))
    return np.rint(big.clip(0, 255)).astype(np.uint8)


def find_mesh(pixels: np.ndarray) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB -> (468, 2) float32, pixels (x, y). RuntimeError: no face."""
    finder = Finder(find(FACE_FINDER), NEAR_FACES)
    mesh = FaceMesh(find(FACE_MESH))
    found = finder(pixels, around(pixels), CONFIDENCE)
    if not found:
        raise RuntimeError("no face was found in the portrait")
    look = mesh(pixels, region_of_face(found[0].place.box, found[0].points))
    return look.points.astype(np.float32)
