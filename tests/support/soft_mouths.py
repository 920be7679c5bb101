"""Generators for tests that return blurred crops: a known degradation, without weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from latentsync.types import Chunk

CHUNK = 16


class SoftMouths:
    """Blurs every crop from output frame ``first`` on; the others are unchanged."""

    name = "soft mouths"
    chunk_frames = CHUNK
    audio: str | None = None

    def __init__(self, first: int, mask: np.ndarray) -> None:
        self.size, self._first, self._mask = len(mask), first, torch.from_numpy(mask.copy())
        self.chunks: list[Chunk] = []

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        self.chunks.append(chunk)
        soft = _blurred(chunk.crops)
        late = torch.from_numpy(chunk.frames >= self._first)[:, None, None, None]
        return torch.where(late, chunk.crops + (soft - chunk.crops) * self._mask, chunk.crops)


def load(_config, _execution, *, mask: np.ndarray) -> SoftMouths:
    """All frames are soft."""
    return SoftMouths(0, mask)


def load_late(_config, _execution, *, mask: np.ndarray) -> SoftMouths:
    """The first six are sharp."""
    return SoftMouths(6, mask)


def _blurred(crops: torch.Tensor) -> torch.Tensor:
    """As if generated at a quarter of the size."""
    small = functional.interpolate(crops, scale_factor=1 / 4, mode="area")
    return functional.interpolate(small, crops.shape[-2:], mode="bicubic", align_corners=False)


def load_sharp(_config, _execution, *, mask: np.ndarray) -> SoftMouths:
    """None is soft."""
    return SoftMouths(10**6, mask)


class Broken(SoftMouths):
    """Returns invalid chunks after the first."""

    def __init__(self, mask: np.ndarray, corrupt: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(0, mask)
        self._corrupt = corrupt

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        mouths = super().__call__(chunk)
        return self._corrupt(mouths) if chunk.index else mouths


def load_nan(_config, _execution, *, mask: np.ndarray) -> Broken:
    """NaN."""
    return Broken(mask, lambda mouths: mouths * torch.nan)


def load_small(_config, _execution, *, mask: np.ndarray) -> Broken:
    """Half as large."""
    return Broken(mask, lambda mouths: mouths[..., ::2, ::2])


def load_few(_config, _execution, *, mask: np.ndarray) -> Broken:
    """Three mouths too few."""
    return Broken(mask, lambda mouths: mouths[3:])
