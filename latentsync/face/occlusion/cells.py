"""The small image of a face that occluders are searched in: the aligned crop and a margin, in cells
of 4 x 4 aligned pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np

from latentsync.face.landmarks import MOUTH
from latentsync.geometry import ALIGNED_HEIGHT, ALIGNED_WIDTH, frame_scale, part_of

CELL = 4
"""Aligned pixels along each side of a cell: 1.2 mm of a face."""
BESIDE, BELOW = 10, 10
"""Cells beside the aligned crop and below it, where an occluder comes from."""
MASK_ROWS, MASK_COLUMNS = ALIGNED_HEIGHT // CELL, ALIGNED_WIDTH // CELL
ROWS, COLUMNS = MASK_ROWS + BELOW, MASK_COLUMNS + 2 * BESIDE
CROP = slice(0, MASK_ROWS), slice(BESIDE, BESIDE + MASK_COLUMNS)
"""Rows and columns of the aligned crop."""

FINEST = 4
"""A cell is averaged from at most this many samples along each side."""
LIPS_MARGIN = (9.0, 50.0)
"""Aligned pixels beyond the mouth's corners, and beyond the lips' inner edges."""
_ROUND = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_SUBPIXEL = 4  # bits


def to_cells(matrix: np.ndarray) -> np.ndarray:
    """(2, 3), frame -> aligned crop, to (2, 3) float64, frame -> cells."""
    matrix = matrix.astype(np.float64) / CELL
    matrix[:, 2] += (1 / CELL - 1) / 2  # centres of pixels and cells are whole numbers
    matrix[0, 2] += BESIDE
    return matrix


def cells_of(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB. matrix: (2, 3), frame -> aligned crop -> (ROWS, COLUMNS, 3)
    uint8 RGB, the mean of each cell; beyond the frame its border is repeated."""
    fine = to_cells(matrix)
    multiple = min(max(1, math.ceil(float(frame_scale(fine)) - 0.2)), FINEST)
    fine *= multiple
    fine[:, 2] += (multiple - 1) / 2
    size = COLUMNS * multiple, ROWS * multiple
    part, fine = part_of(pixels, fine, size[::-1])
    border = cv2.BORDER_REPLICATE
    seen = cv2.warpAffine(part, fine, size, flags=cv2.INTER_LINEAR, borderMode=border)
    if multiple == 1:
        return np.asarray(seen, np.uint8)
    small = cv2.resize(seen, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """points: (K, 2), matrix: (2, 3) -> (K, 2) float64."""
    there: np.ndarray = points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return there


def polygon(points: np.ndarray, size: tuple[int, int] = (ROWS, COLUMNS)) -> np.ndarray:
    """points: (K, 2) cells -> size, uint8, 1 inside."""
    drawn = np.zeros(size, np.uint8)
    return np.asarray(
        cv2.fillPoly(drawn, [np.rint(points * 2**_SUBPIXEL).astype(np.int32)], 1, shift=_SUBPIXEL)
    )


def in_frame(matrix: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
    """(ROWS, COLUMNS) uint8, 1 where a cell shows the frame. frame_size: (width, height)."""
    right, bottom = frame_size[0] - 1, frame_size[1] - 1
    corners = np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])
    return polygon(moved(corners, to_cells(matrix)))


def lips(landmarks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(ROWS, COLUMNS) uint8, 1 on the lips and between them. landmarks: frame pixels."""
    mouth = moved(landmarks[MOUTH], to_cells(matrix))
    left, right, upper, lower = mouth
    width, height = float(np.linalg.norm(right - left)), float(np.linalg.norm(lower - upper))
    across = (right - left) / max(width, 1e-6)
    down = np.array([-across[1], across[0]])
    half_axes = (np.array([width, height]) / 2 + np.array(LIPS_MARGIN) / CELL)[:, None]
    round_ = np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=1)
    return polygon(mouth.mean(axis=0) + round_ @ (np.stack([across, down]) * half_axes))
