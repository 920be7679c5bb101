"""A video at 25 frames a second of its own time, whatever its frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from latentsync.models.syncnet import FRAME_RATE
from latentsync.tone import sdr
from latentsync.types import Frame


def instants(seconds: np.ndarray, end: float) -> np.ndarray:
    """The frame that is nearest in time to each instant of a grid of 25 a second: (T,) indices.

    seconds: (F,) rising, when the frames are shown. end: when the last one ends. Computed from each
    time alone, so that nothing drifts at any frame rate.
    """
    grid = np.arange(max(1, round(end * FRAME_RATE))) / FRAME_RATE
    after = np.searchsorted(seconds, grid).clip(1, max(1, len(seconds) - 1))
    if len(seconds) < 2:
        return np.zeros(len(grid), np.int64)
    nearer = grid - seconds[after - 1] <= seconds[after] - grid
    return np.where(nearer, after - 1, after)


def at_instants(
    frames: Iterable[Frame], shown: np.ndarray, wanted: Callable[[int], bool]
) -> Iterator[tuple[np.ndarray, int]]:
    """Yields the pixels (H, W, 3) uint8 RGB at each instant that is wanted, and its number.

    frames: all of the video, in order; read no further than needed. shown: (T,) of `instants`.
    """
    if not len(shown):
        return
    first = np.searchsorted(shown, np.arange(shown[-1] + 2))
    for begin, stop, frame in zip(first, first[1:], frames, strict=False):
        chosen = [instant for instant in range(begin, stop) if wanted(instant)]
        if chosen:
            pixels = sdr(frame).pixels
            yield from ((pixels, instant) for instant in chosen)


def counted(frames: Iterable[Frame], step: Callable[[], None]) -> Iterator[Frame]:
    """The same frames; step: called after each, see pipeline.progress."""
    for frame in frames:
        yield frame
        step()
