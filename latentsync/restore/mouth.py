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
    Cubic; where the patch has fewer pixels than the frame, averaged down from a multiple.
    """
    height, width = size
    multiple = math.ceil(float(frame_scale(matrix)) - 0.2)
    if multiple <= 1:
        patch = _warp(pixels, matrix, size)
    else:
        fine = matrix * multiple
        fine[:, 2] += (multiple - 1) / 2  # pixel centres, not corners, are whole numbers
        patch = _warp(pixels, fine, (height * multiple, width * multiple))
        patch = cv2.resize(patch.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(patch).permute(2, 0, 1).float().div_(127.5).sub_(1).contiguous()


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


def _warp(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.warpAffine(
        pixels, matrix, size[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3): the rotation, scale and shift that bring (P, 2) source nearest to (P, 2) target.

    As complex numbers the least-squares answer (Umeyama 1991, without reflection) is one division.
    """
    a, b = source @ [1, 1j], target @ [1, 1j]
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean()).real
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
