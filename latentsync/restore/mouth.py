"""Where a restorer's square or box lies, and the cutting out of it.

Everything hangs on the one smoothed matrix of a frame: what is constant along a track stays so. A
landmark found anew in each frame would shake the restored mouth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch

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
"""(5, 2) x, y in a square of 512: eyes, nose, mouth corners, the picture's left before its right.
The constants of facexlib, which GFPGAN's and CodeFormer's training faces were aligned with."""

_SUPPORT = 1 / 512  # of a mask: less than half a grey level of any patch
_TAPS = 3  # pixels that a cubic reaches beyond a place, with one to spare
_MARGIN = 16  # patch pixels around the mask's support: a filter's reach


@dataclass(frozen=True, slots=True, eq=False)
class PatchGeometry:
    """One track's patch.

    from_aligned: (2, 3), aligned crop pixels -> patch pixels. size: (h, w) of the patch.
    mask: (h, w) float32 in [0, 1], 1 where the patch wins.
    """

    from_aligned: np.ndarray
    size: tuple[int, int]
    mask: np.ndarray

    def matrix(self, alignment_matrix: np.ndarray) -> np.ndarray:
        """alignment_matrix: (2, 3), frame -> aligned crop -> (2, 3) float64, frame -> patch."""
        return self.from_aligned @ np.vstack([alignment_matrix, [0, 0, 1]])


def ffhq_geometry(
    matrices: np.ndarray, five_points: np.ndarray, aligned_mask: np.ndarray, *, size: int = 512
) -> PatchGeometry:
    """The FFHQ square of a track: one similarity, least squares on the mean of its five points.

    matrices: (F, 2, 3), frame -> aligned crop. five_points: (F, 5, 2) frame pixels, order of
    FFHQ_TEMPLATE. aligned_mask: (560, 420) float32 in [0, 1].
    """
    aligned = np.einsum("fij,fpj->fpi", matrices[:, :, :2], five_points) + matrices[:, None, :, 2]
    from_aligned = _similarity(aligned.mean(0), FFHQ_TEMPLATE * (size / 512))
    return _geometry(from_aligned, (size, size), aligned_mask)


def own_scale_geometry(matrices: np.ndarray, aligned_mask: np.ndarray) -> PatchGeometry:
    """The upright box around the mask, at the track's median scale: pixels of the frame's size.

    matrices: (F, 2, 3), frame -> aligned crop. aligned_mask: (560, 420) in [0, 1], not all 0.
    """
    scale = float(np.median(frame_scale(matrices)))
    rows, columns = np.nonzero(aligned_mask > _SUPPORT)
    origin = np.array([columns.min(), rows.min()]) * scale - _MARGIN
    end = np.array([columns.max(), rows.max()]) * scale + _MARGIN
    width, height = np.ceil(end - origin).astype(int) + 1
    from_aligned = np.array([[scale, 0, -origin[0]], [0, scale, -origin[1]]])
    return _geometry(from_aligned, (int(height), int(width)), aligned_mask)


def extract(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """(3, h, w) float32 RGB [-1, 1]: the patch of a frame; beyond its border the border goes on.

    pixels: (H, W, 3) uint8 RGB. matrix: (2, 3), frame pixels -> patch pixels. size: (h, w).
    Cubic, not rounded; where the patch has fewer pixels than the frame, averaged down from a
    multiple.
    """
    height, width = size
    multiple = max(1, math.ceil(float(frame_scale(matrix)) - 0.2))
    fine = matrix.astype(np.float64) * multiple
    fine[:, 2] += (multiple - 1) / 2  # pixel centres, not corners, are whole numbers
    fine_size = height * multiple, width * multiple
    part, fine = part_of(pixels, fine, fine_size)
    patch = np.empty((3, height, width), np.float32)
    for source, plane in zip(cv2.split(part), patch, strict=True):
        levels = _averaged(_warp(source, fine, fine_size), multiple)
        # By numpy and a plane at a time: torch's threads take longer to meet than this takes.
        np.divide(levels, 127.5, out=plane)
        plane -= 1
        np.clip(plane, -1, 1, out=plane)
    return torch.from_numpy(patch)


def part_of(
    pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """What of a picture (H, W, ...) a patch of size (h, w) is made of, and the matrix from there.

    matrix: (2, 3), pixels of the picture -> patch pixels. At least one pixel, whatever it says.
    """
    height, width = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    places = corners @ cv2.invertAffineTransform(matrix).T
    limit = np.array(pixels.shape[1::-1])
    low = np.clip(np.floor(places.min(axis=0)) - _TAPS, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(places.max(axis=0)) + _TAPS, low + 1, limit).astype(int)
    from_part = matrix.astype(np.float64)
    from_part[:, 2] += from_part[:, :2] @ low
    return pixels[low[1] : high[1], low[0] : high[0]], from_part


def frame_scale(matrices: np.ndarray) -> np.ndarray:
    """(...): frame pixels per target pixel, of (..., 2, 3) matrices frame -> target."""
    return 1 / np.sqrt(np.abs(np.linalg.det(matrices[..., :2])))


def generator_scale(matrices: np.ndarray, generator_size: int) -> np.ndarray:
    """(...): frame pixels per generator pixel, of (..., 2, 3) matrices frame -> aligned crop.

    The crop of 420x560 is stretched to a square of generator_size; the ratio is that of the areas.
    Above 1 the generator's mouth is enlarged on its way into the frame.
    """
    return frame_scale(matrices) * math.sqrt(math.prod(ALIGNED_SIZE)) / generator_size


def _geometry(
    from_aligned: np.ndarray, size: tuple[int, int], aligned_mask: np.ndarray
) -> PatchGeometry:
    height, width = size
    mask = cv2.warpAffine(aligned_mask.astype(np.float32), from_aligned, (width, height))
    return PatchGeometry(from_aligned, size, mask.clip(0, 1))


def _warp(plane: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32. In float32, a plane at a time: a third of the time that OpenCV takes for the
    cubic of interleaved bytes."""
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


def _similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3): the rotation, scale and shift that bring (P, 2) source nearest to (P, 2) target.

    As complex numbers the least-squares answer (Umeyama 1991, without reflection) is one division.
    """
    a, b = source @ [1, 1j], target @ [1, 1j]
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean()).real
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
