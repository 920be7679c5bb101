"""Calms what a single-image network does differently from frame to frame: restore's only state."""

from __future__ import annotations

import torch
from torch.nn import functional

from latentsync.types import Box

# Local change of the source, over its noise, at which the past is half given up; units of [-1, 1],
# some three grey levels of 8 bits. A lip's edge that moves by a pixel changes by ten and more.
_MOTION = 0.025
_MOST_NOISE = 0.03  # the same unit: what changes everywhere by more than that is motion
_WINDOW = 9  # patch pixels, over which change is averaged


class ResidualSmoother:
    """Exponential average of a track's residuals, in patch space, given up where the source moves.

    Frames must come in order. beta: weight of the past, in [0, 1); 0 switches it off. The variance
    of flicker on still content falls to (1 - beta) / (1 + beta).
    """

    def __init__(self, beta: float) -> None:
        if not 0 <= beta < 1:
            raise ValueError(f"beta must lie in [0, 1), not {beta}")
        self._beta = beta
        self.reset()

    def reset(self) -> None:
        """Forgets the past: call it at a cut, and where frames are missing."""
        self._average: torch.Tensor | None = None
        self._previous: torch.Tensor | None = None

    @torch.no_grad()
    def __call__(
        self, residual: torch.Tensor, source: torch.Tensor, part: Box | None = None
    ) -> torch.Tensor:
        """residual, source: (3, h, w) float, units of [-1, 1], the next frame's -> (3, h, w).

        part: of the source, where the residual is only that of a part.
        """
        if self._beta == 0:
            return residual
        luma = source.mean(0)
        if self._average is None or self._previous is None or self._previous.shape != luma.shape:
            average = residual
        else:
            still = _stillness(luma - self._previous)
            if part is not None:
                still = still[part.y0 : part.y1, part.x0 : part.x1]
            past = self._beta * still
            average = past * self._average + (1 - past) * residual
        self._average, self._previous = average, luma
        return average


def _stillness(change: torch.Tensor) -> torch.Tensor:
    """change: (h, w), source minus the source before -> (h, w) in [0, 1], 1 where nothing moves.

    The noise is what changes everywhere: the median over the patch; a mouth moves in places.
    """
    local = functional.avg_pool2d(
        (change**2)[None], _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False
    )[0]
    noise = local.median().clamp_max(_MOST_NOISE**2)
    moved = (local - noise).clamp_min(0)
    return 1 / (1 + (moved / _MOTION**2) ** 2)
