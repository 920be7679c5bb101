"""Keeps a sum of audio from clipping: the level falls around peaks, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

CEILING = 10 ** (-1 / 20)
"""Highest sample, full scale is 1: -1 dB, so that what an audio encoder adds to it still fits."""
REACH = 960
"""Samples before and after a peak in which the level falls and rises: 20 ms at 48 kHz."""
_CONTEXT = 2 * REACH
"""Samples by which a peak can change the gain of another sample."""


def limited(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(n, channels) float32 -> as many samples, in other blocks; none is above CEILING.

    Samples more than 2 * REACH from a higher peak are unchanged. The result does not depend on how
    the audio is divided into blocks.
    """
    held: np.ndarray | None = None
    for block in blocks:
        if held is None:
            held = np.zeros((_CONTEXT, block.shape[1]), np.float32)
        held, done = _advanced(held, block)
        yield done
    if held is not None:
        yield _advanced(held, np.zeros((_CONTEXT, held.shape[1]), np.float32))[1]


def _advanced(held: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """held: _CONTEXT finished samples, then those that are not -> the next held, what is done."""
    whole = np.concatenate([held, block])
    if len(whole) <= 2 * _CONTEXT:
        return whole, whole[:0]
    inside = slice(_CONTEXT, len(whole) - _CONTEXT)
    return whole[-2 * _CONTEXT :], whole[inside] * _gains(whole)[inside, None]


def _gains(samples: np.ndarray) -> np.ndarray:
    """(n, channels) -> (n,) float32 in (0, 1]; within _CONTEXT of both ends not exact."""
    needed = CEILING / np.maximum(np.abs(samples).max(axis=1), CEILING).astype(np.float32)
    if needed.min() == 1:
        return needed
    size = 2 * REACH + 1
    lowest = cv2.erode(needed[None], np.ones((1, size), np.uint8))
    return np.minimum(cv2.blur(lowest, (size, 1), borderType=cv2.BORDER_REPLICATE)[0], 1)
