"""Affine matrices, crops and sampling.

Points are x, y; an integer is a pixel's centre. A (2, 3) matrix maps points of one image to points
of another; "frame -> crop" says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch

BASE = np.array([[17, 20], [58, 20], [37.5, 40]])
BASE_WIDTH, BASE_HEIGHT = 75, 100
"""Brows and nose in an aligned crop of that size, in LatentSync's own unit; see template()."""
ALIGNED_RESOLUTION = 512
"""The face size whose aligned crop, 420 x 560, is the unit of the rest of the project."""
ALIGNED_SIZE = (560, 420)
"""Height and width of the aligned crop."""
FFHQ_TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""(5, 2) x, y in a square of 512: eyes, nose, mouth corners, image-left first.
The constants of facexlib, which GFPGAN's and CodeFormer's training faces were aligned with."""

_TAPS = 3  # reach of a cubic in pixels, and one more
_STRIP = 2**18
"""Samples that are taken of a plane at once: a large patch is extracted in strips. Their planes
stay in the processor's cache. To get memory for those of the whole takes as long as the
arithmetic."""


def template(resolution: int) -> np.ndarray:
    """(3, 2) float64 pixels of the aligned crop: brows, nose (affine_transform.py:12-18)."""
    return BASE * _ratio(resolution)


def crop_size(resolution: int) -> tuple[int, int]:
    """Width and height of the aligned crop: 420 x 560 at 512, 210 x 280 at 256."""
    return int(BASE_WIDTH * _ratio(resolution)), int(BASE_HEIGHT * _ratio(resolution))


def _ratio(resolution: int) -> float:
    return resolution / 256 * 2.8


ALIGNED_WIDTH, ALIGNED_HEIGHT = crop_size(ALIGNED_RESOLUTION)
"""420 x 560 pixels: LatentSync's aligned crop at 512, before it is stretched to a square."""
TEMPLATE = template(ALIGNED_RESOLUTION)
"""Where the CONTROL points lie in the aligned crop: (95.2, 112), (324.8, 112), (210, 224)."""


def similarity(
    points: np.ndarray, goal: np.ndarray, dtype: type[np.floating] = np.float32
) -> np.ndarray:
    """points: (..., K, 2), goal: (K, 2) -> (..., 2, 3), points -> goal, never mirrored.

    Least squares over rotation, scale and shift in closed form, float64 inside (Umeyama 1991; in
    two dimensions the singular values are not needed). ValueError where all points coincide.
    """
    source, target = points.astype(np.float64), goal.astype(np.float64)
    source_mean, target_mean = source.mean(axis=-2), target.mean(axis=-2)
    x, y = np.moveaxis(source - source_mean[..., None, :], -1, 0)
    u, v = np.moveaxis(target - target_mean, -1, 0)
    spread = (x * x + y * y).sum(axis=-1)
    if not np.all(spread > 0):
        raise ValueError("all points of a face coincide")
    a, b = (x * u + y * v).sum(axis=-1) / spread, (x * v - y * u).sum(axis=-1) / spread
    linear = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
    shift = target_mean - np.einsum("...ij,...j->...i", linear, source_mean)
    return np.concatenate([linear, shift[..., None]], axis=-1).astype(dtype)


def square(size: int) -> np.ndarray:
    """(2, 3) float64: pixels of the aligned crop -> pixels of the square it is stretched to."""
    return box_to_square((0, 0, ALIGNED_WIDTH, ALIGNED_HEIGHT), size)


def box_to_square(box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """(2, 3) float64: pixels of an image -> pixels of the square that the box is stretched to.

    box: left, top, right, bottom, counted from the corner of the image's first pixel.
    """
    left, top, right, bottom = box
    matrix = np.array([[size / (right - left), 0, 0], [0, size / (bottom - top), 0]])
    # Pixel centres: the box's first pixel covers the same area as the square's first pixels.
    matrix[:, 2] = (matrix[:, :2].sum(axis=1) - 1) / 2 - matrix[:, :2] @ [left, top]
    return matrix


def resampled(image: torch.Tensor, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """image: (3, h, w) float32 -> (3, *size), cubic; border pixels are repeated. matrix: (2, 3),
    pixels of the image -> of the result."""
    return torch.from_numpy(np.stack([_warp(plane, matrix, size) for plane in image.numpy()]))


def points_to_aligned(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """points: (F, K, 2) frame pixels, matrices: (F, 2, 3) frame -> aligned crop -> (F, K, 2)."""
    turned = np.einsum("fij,fkj->fki", matrices[:, :, :2].astype(np.float64), points)
    return turned + matrices[:, None, :, 2]


def frame_scale(matrices: np.ndarray) -> np.ndarray:
    """(...): frame pixels per target pixel, of (..., 2, 3) matrices frame -> target."""
    return 1 / np.sqrt(np.abs(np.linalg.det(matrices[..., :2])))


def generator_scale(matrices: np.ndarray, generator_size: float | np.ndarray) -> np.ndarray:
    """(...): frame pixels per generator pixel, of (..., 2, 3) matrices frame -> aligned crop.

    The crop of 420x560 is stretched to a square of generator_size, (...) or one for all; the ratio
    is that of the areas.
    Above 1 the generated mouth is upscaled to the frame.
    """
    return frame_scale(matrices) * math.sqrt(math.prod(ALIGNED_SIZE)) / generator_size


def extract(
    pixels: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    *,
    levels: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> torch.Tensor:
    """(3, h, w) float32 RGB [-1, 1]: the patch of a frame, whose border pixels are repeated.

    pixels: (H, W, 3) RGB. matrix: (2, 3), frame pixels -> patch pixels. size: (h, w).
    levels: what makes 8-bit code values of pixels; see tone.extract_levels.
    Cubic, not rounded; a patch coarser than the frame is averaged down from a multiple of its size.
    """
    height, width = size
    multiple = max(1, math.ceil(float(frame_scale(matrix)) - 0.2))
    fine = matrix.astype(np.float64) * multiple
    fine[:, 2] += (multiple - 1) / 2  # pixel centres, not corners, are whole numbers
    patch = np.empty((3, height, width), np.float32)
    rows = max(1, _STRIP // (width * multiple**2))
    for top in range(0, height, rows):
        strip = patch[:, top : top + rows]
        part, to_strip = padded_part(pixels, fine, (strip.shape[1] * multiple, width * multiple))
        _sample(levels(part), to_strip, multiple, strip)
        fine[1, 2] -= rows * multiple
    return torch.from_numpy(patch)


def _sample(part: np.ndarray, matrix: np.ndarray, multiple: int, strip: np.ndarray) -> None:
    """part: (H, W, 3), 8-bit code values; matrix: part -> samples -> strip, (3, h, w) float32
    [-1, 1], the means of multiple x multiple samples each."""
    size = strip.shape[1] * multiple, strip.shape[2] * multiple
    for source, plane in zip(cv2.split(part), strip, strict=True):
        smooth = _averaged(_warp(source, matrix, size), multiple)
        # In numpy, a plane at a time: synchronising torch's threads takes longer than this.
        np.divide(smooth, 127.5, out=plane)
        plane -= 1
        np.clip(plane, -1, 1, out=plane)


def part_of(
    pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image (H, W, ...) that a patch of size (h, w) depends on, and its matrix.

    matrix: (2, 3), pixels of the image -> patch pixels. The part has at least one pixel.
    """
    first, last = _reach(matrix, size)
    limit = np.array(pixels.shape[1::-1])
    low = np.clip(first, 0, limit - 1)
    high = np.clip(last, low + 1, limit)
    return pixels[low[1] : high[1], low[0] : high[0]], _moved(matrix, low)


def padded_part(
    pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """As part_of, with as many repeated border pixels as the patch reaches beyond the image; none
    where it lies wholly outside.

    OpenCV repeats them too, but takes five times as long for a pixel that needs one.
    """
    part, from_part = part_of(pixels, matrix, size)
    first, last = _reach(from_part, size)
    beyond = last - part.shape[1::-1]
    if (last <= 0).any() or (first + beyond >= last).any():
        return part, from_part
    before, after = np.maximum(-first, 0), np.maximum(beyond, 0)
    if before.any() or after.any():
        left, top, right, bottom = (int(side) for side in (*before, *after))
        part = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return part, _moved(from_part, -before)


def _reach(matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """First and last column and row, (2,) int each, that a patch of size (h, w) depends on."""
    height, width = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    places = corners @ cv2.invertAffineTransform(matrix).T
    first, last = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0))
    return first.astype(int) - _TAPS, last.astype(int) + _TAPS


def _moved(matrix: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """(2, 3) float64, for the part of the image that begins at the corner (x, y)."""
    moved = matrix.astype(np.float64)
    moved[:, 2] += moved[:, :2] @ corner
    return moved


def _warp(plane: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32. OpenCV's cubic on float32 planes takes a third of the time that it takes on
    interleaved bytes."""
    return cv2.warpAffine(
        plane.astype(np.float32),
        matrix,
        size[::-1],
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _averaged(plane: np.ndarray, multiple: int) -> np.ndarray:
    if multiple == 1:
        return plane
    height, width = (side // multiple for side in plane.shape)
    return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
