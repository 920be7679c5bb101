"""Frames of the result that are shown beside the frames of the source behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsync.types import Box


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One moment in pixels.

    seconds, index: of the output frame. before, after: (H, W, 3) uint8 RGB, the SDR view, of the
    source and of the result; before None: there is no source. mouth: around the mouth, in `after`;
    empty: not known. why: why this moment is shown, a few words.
    """

    seconds: float
    index: int
    before: np.ndarray | None
    after: np.ndarray
    mouth: Box
    why: str
