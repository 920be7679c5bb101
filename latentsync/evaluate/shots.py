"""Pictures for the page: some moments of a result beside its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.media.probe import VideoInfo
from latentsync.types import Box

MOST = 24
HEIGHT = 720


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One moment of a result.

    seconds, index: of the output frame. before, after: (H, W, 3) uint8 RGB of one size, H at most
    HEIGHT, W even where possible; before None: there is no source frame. mouth: its box in them.
    why: why it is shown, in words.
    """

    seconds: float
    index: int
    before: np.ndarray | None
    after: np.ndarray
    mouth: Box
    why: str


def chosen_moments(evaluation: Mapping[str, Any], *, most: int = MOST) -> list[tuple[float, str]]:
    """(second, why) of the moments worth a picture: the worst of each figure, then evenly spread
    ones; rising, at most so many."""
    raise NotImplementedError


def read_shots(
    result: Path | VideoInfo,
    source: Path | VideoInfo | None,
    moments: Sequence[tuple[float, str]],
    *,
    report: Mapping[str, Any] | None = None,
) -> list[Shot]:
    """Those frames, read by seeking. Moments without a face have no shot."""
    raise NotImplementedError
