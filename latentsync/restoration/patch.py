"""Patch geometry of a restorer's square or box, residuals, and the patch window.

All matrices derive from the smoothed matrix of a frame and a geometry that is constant in the
track: landmarks of single frames would make the restored mouth jitter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch.nn import functional

from latentsync.geometry import FFHQ_TEMPLATE, frame_scale, similarity
from latentsync.types import Box

_SUPPORT = 1 / 512  # mask value that changes any frame by less than half a code value
_MARGIN = 16  # patch pixels around the mask's support, for the reach of filters
_Image = TypeVar("_Image", np.ndarray, torch.Tensor)


@dataclass(frozen=True, slots=True, eq=False)
class PatchGeometry:
    """One track's patch.

    from_aligned: (2, 3), aligned crop pixels -> patch pixels. size: (h, w) of the patch.
    mask: (h, w) float32 in [0, 1], 1 where new pixels win.
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


def residual(
    restored: torch.Tensor, source: torch.Tensor, *, highpass_sigma: float
) -> torch.Tensor:
    """(N, 3, h, w) float, [-2, 2]: restored - source, for an additive patch.

    restored, source: (N, 3, h, w) float RGB [-1, 1], the same shape.
    highpass_sigma: patch pixels; lower frequencies of the difference are removed; 0 keeps all.
    8 to 10 at 512 removes a network's colour shift and brightness flicker, and keeps lips and
    teeth; Detail causes neither and needs none.
    """
    difference = restored - source
    return difference - _gaussian(difference, highpass_sigma) if highpass_sigma > 0 else difference


def halo(highpass_sigma: float) -> int:
    """Pixels on each side that a residual of that sigma depends on."""
    return math.ceil(3 * highpass_sigma)


def _gaussian(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """(N, C, h, w) -> the same, blurred; mirrored at the borders."""
    for axis in (2, 3):
        radius = min(halo(sigma), images.shape[axis] - 1)
        steps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
        kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
        kernel = (kernel / kernel.sum()).reshape(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        channels = images.shape[1]
        padded = functional.pad(images, pad, mode="reflect")
        images = functional.conv2d(
            padded, kernel.expand(channels, 1, *kernel.shape[2:]), groups=channels
        )
    return images


@dataclass(frozen=True, slots=True, eq=False)
class PatchWindow:
    """The part of a track's patches that shows.

    shown: where the mask is not 0. needed: shown with its halo, which the residual depends on.
    mask: (h, w) float32, of the part shown. highpass_sigma: see residual().
    """

    shown: Box
    needed: Box
    mask: np.ndarray
    highpass_sigma: float

    @classmethod
    def of(cls, mask: np.ndarray, *, highpass_sigma: float) -> PatchWindow:
        """mask: (h, w) float32 of the whole patch; an empty mask gives the whole patch."""
        height, width = mask.shape
        x, y, across, down = cv2.boundingRect((mask > 0).view(np.uint8))
        shown = Box(x, y, x + across, y + down) if across else Box(0, 0, width, height)
        margin = halo(highpass_sigma)
        low = max(shown.x0 - margin, 0), max(shown.y0 - margin, 0)
        needed = Box(*low, min(shown.x1 + margin, width), min(shown.y1 + margin, height))
        return cls(shown, needed, np.ascontiguousarray(_cut(mask, shown)), highpass_sigma)

    def residuals(self, restored: torch.Tensor, mouths: torch.Tensor) -> torch.Tensor:
        """Whole patches, both (N, 3, h, w) -> residuals (N, 3, h', w') of the part shown."""
        needed, shown = self.needed, self.shown
        changes = residual(
            _cut(restored, needed), _cut(mouths, needed), highpass_sigma=self.highpass_sigma
        )
        x, y = needed.x0, needed.y0
        return _cut(changes, Box(shown.x0 - x, shown.y0 - y, shown.x1 - x, shown.y1 - y))

    def cut(self, patch: torch.Tensor) -> torch.Tensor:
        """(..., h, w), a whole patch -> (..., h', w'), the part shown."""
        return _cut(patch, self.shown)

    def matrix(self, matrix: np.ndarray) -> np.ndarray:
        """(2, 3), frame -> patch pixels; returns frame -> pixels of the part shown."""
        return matrix - np.array([[0, 0, self.shown.x0], [0, 0, self.shown.y0]])


def _cut(image: _Image, box: Box) -> _Image:
    return image[..., box.y0 : box.y1, box.x0 : box.x1]
