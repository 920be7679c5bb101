"""Keeps CodeFormer's codes over time, so that a video does not flicker between two close ones.

Each place of the grid has one of 1024 codebook entries. Where two fit about as well, noise decides
between them, frame by frame, and each looks different.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from CodeFormer.parts import best

if TYPE_CHECKING:
    from latentsync.restoration.base import Moment

_STEP = 7  # no divisor of `longest`; neighbours, 1 and 16 places apart, are decided at other frames


class CodeHysteresis:
    """A place keeps its entry until another one's logit is higher by more than the margin.

    margin: in units of logits, natural logarithms of probability. longest: frames after which a
    place is decided afresh, so that nothing older counts; not all places at the same frame, which
    would show as a pulse.
    """

    def __init__(self, margin: float, *, longest: int) -> None:
        self._margin, self._longest = margin, longest
        self._kept: Tensor | None = None
        self._number = 0

    def __call__(self, logits: Tensor, moments: Sequence[Moment]) -> Tensor:
        """(n, 256, 1024) float, of the next faces -> (n, 256) int64, the entries to use."""
        chosen = [self._next(one, moment) for one, moment in zip(logits, moments, strict=True)]
        return torch.stack(chosen)

    def _next(self, logits: Tensor, moment: Moment) -> Tensor:
        fits_best = best(logits[None])[0]
        kept = self._kept
        if kept is not None and not moment.first:
            values = logits.gather(1, torch.stack([fits_best, kept], dim=1))
            beaten = values[:, 0] - values[:, 1] > self._margin
            anew = self._period(moment.number) != self._period(self._number)
            kept = torch.where(beaten | anew.to(beaten.device), fits_best, kept)
        else:
            kept = fits_best
        self._kept, self._number = kept, moment.number
        return kept

    def _period(self, number: int) -> Tensor:
        """(256,): for each place, how many times it has been decided afresh up to that frame."""
        places = torch.arange(256)
        return (number + places * _STEP % self._longest) // self._longest
