"""Frame pairs of a made-up face with skin texture, and what is done to its mouth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import cv2
import numpy as np

from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.face.landmarks import CONTROL, LANDMARKS, MOUTH
from latentsync.face.masks import region_mask
from latentsync.geometry import TEMPLATE

SCALE = 0.5  # frame pixels per aligned pixel
CORNER = 30  # frame pixels: where the aligned crop begins
SIZE = 340, 270  # height, width
SKIN, LIPS, DARK = (200, 150, 120), (165, 85, 85), (50, 25, 25)
RATE = 25

Change = Callable[[np.ndarray, int], np.ndarray]
"""A frame (H, W, 3) float32 and its number -> the same, changed everywhere."""


def landmarks(opening: float) -> np.ndarray:
    """(len(LANDMARKS), 2) aligned pixels."""
    points = np.zeros((len(LANDMARKS), 2))
    points[CONTROL] = TEMPLATE
    points[3:6] = [[120, 150], [300, 150], [210, 240]]
    points[MOUTH] = [[140, 360], [280, 360], [210, 360 - opening / 2], [210, 360 + opening / 2]]
    points[10] = 210, 500
    return points


def face(opening: float = 30.0) -> SeenFace:
    matrix = np.array([[1 / SCALE, 0, 0], [0, 1 / SCALE, 0]])
    matrix[:, 2] = -CORNER / SCALE
    points = landmarks(opening) * SCALE + CORNER
    return SeenFace(points.astype(np.float32), matrix.astype(np.float32), track=0)


@cache
def frame(number: int = 0, opening: float = 30.0) -> np.ndarray:
    """(340, 270, 3) uint8 RGB: shaded skin with texture, eyes, lips, a dark gap between them."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    shade = 1.1 - 0.3 * ((columns - 135) / 135) ** 2 - 0.2 * rows / SIZE[0]
    pixels = np.array(SKIN, np.float32) * shade[..., None]
    pixels += _texture()[..., None]
    points = landmarks(opening) * SCALE + CORNER
    for eye in points[3:5]:
        _oval(pixels, eye, (14, 7), DARK)
    left, right, upper, lower = points[MOUTH]
    half = (right - left)[0] / 2, (lower - upper)[1] / 2
    _oval(pixels, (left + right) / 2, (half[0] + 2, half[1] + 9), LIPS)
    _oval(pixels, (left + right) / 2, half, DARK)
    noise = np.random.default_rng(number).normal(0, 0.8, pixels.shape)
    smooth = cv2.GaussianBlur(pixels, (0, 0), 0.5)
    return np.clip(np.rint(smooth + noise), 0, 255).astype(np.uint8)


def laid(pixels: np.ndarray, new: np.ndarray, *, hard: bool = False) -> np.ndarray:
    """The new pixels over the lower face, softly or along its edge."""
    mask = region_mask("lower_face")
    shown = (mask > 0).astype(np.float32) if hard else mask
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    share = cv2.warpAffine(shown, face().matrix, SIZE[::-1], flags=flags)[..., None]
    mixed = pixels * (1 - share) + new * share
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def pairs(
    change: Change = lambda pixels, _: pixels,
    *,
    count: int = 4,
    hard: bool = False,
    source: bool = True,
    seen: bool = True,
    opening: Callable[[int], float] = lambda number: 30 + 6 * np.sin(number / 3),
    new_opening: Callable[[int], float] | None = None,
) -> Iterator[FramePair]:
    """hard: the patch has a hard edge. new_opening: of the result's mouth, where it differs."""
    for number in range(count):
        before = frame(number, opening(number))
        wide = (new_opening or opening)(number)
        mouth = frame(number, wide).astype(np.float32)
        yield FramePair(
            number,
            number / RATE,
            laid(before, change(mouth, number), hard=hard),
            before if source else None,
            face(wide) if seen else None,
            face(opening(number)) if source and seen else None,
            number > 0 and seen,
            region_mask("lower_face"),
        )


def blurred(sigma: float) -> Change:
    return lambda pixels, _: cv2.GaussianBlur(pixels, (0, 0), sigma)


@cache
def _texture() -> np.ndarray:
    fine = np.random.default_rng(5).normal(0, 12, SIZE).astype(np.float32)
    return cv2.GaussianBlur(fine, (0, 0), 0.9)


def _oval(
    pixels: np.ndarray,
    center: np.ndarray,
    half: tuple[float, float],
    color: tuple[int, int, int],
) -> None:
    middle = tuple(np.rint(np.asarray(center) * 16).astype(int).tolist())
    axes = tuple(int(max(side, 0.5) * 16) for side in half)
    cv2.ellipse(pixels, middle, axes, 0, 0, 360, color, -1, cv2.LINE_AA, 4)
