"""Where a restorer's square or box lies, and the cutting out of it.

Everything hangs on the one smoothed matrix of a frame: what is constant along a track stays so. A
landmark found anew in each frame would shake the restored mouth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.geometry import FFHQ_TEMPLATE, frame_scale, similarity

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
    from_aligned = similarity(aligned.mean(0), FFHQ_TEMPLATE * (size / 512), np.float64)
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


def _geometry(
    from_aligned: np.ndarray, size: tuple[int, int], aligned_mask: np.ndarray
) -> PatchGeometry:
    height, width = size
    mask = cv2.warpAffine(aligned_mask.astype(np.float32), from_aligned, (width, height))
    return PatchGeometry(from_aligned, size, mask.clip(0, 1))
