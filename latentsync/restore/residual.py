"""What a restorer adds, without what it must not change: colour and brightness are the input's."""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def residual(restored: torch.Tensor, source: torch.Tensor, *, low_cut: float) -> torch.Tensor:
    """(N, 3, h, w) float, [-2, 2]: restored - source, for an additive patch.

    restored, source: (N, 3, h, w) float RGB [-1, 1], the same shape.
    low_cut: sigma, patch pixels, of the Gaussian below which the difference is dropped; 0 keeps
    all. 8 to 10 at 512 takes away a network's shift of colour and its pumping of brightness from
    frame to frame, and leaves lips and teeth; Detail changes neither and needs none.
    """
    difference = restored - source
    return difference - _gaussian(difference, low_cut) if low_cut > 0 else difference


def reach(low_cut: float) -> int:
    """Pixels to each side that a residual of that low cut looks at."""
    return math.ceil(3 * low_cut)


def _gaussian(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    """(N, C, h, w) -> the same, blurred; mirrored at the borders as far as the picture reaches."""
    for axis in (2, 3):
        radius = min(reach(sigma), pictures.shape[axis] - 1)
        steps = torch.arange(-radius, radius + 1, device=pictures.device, dtype=pictures.dtype)
        kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
        kernel = (kernel / kernel.sum()).reshape(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        channels = pictures.shape[1]
        padded = functional.pad(pictures, pad, mode="reflect")
        pictures = functional.conv2d(
            padded, kernel.expand(channels, 1, *kernel.shape[2:]), groups=channels
        )
    return pictures
