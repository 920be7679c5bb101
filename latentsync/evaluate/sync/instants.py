"""A video at 25 frames a second of its own time, whatever its frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np

from latentsync.errors import MediaError
from latentsync.models.syncnet import FRAME_RATE
from latentsync.tone import sdr
from latentsync.types import Frame


def instants(
    seconds: np.ndarray, end: float, takes: Callable[[float], bool] = lambda _: True
) -> np.ndarray:
    """The frame that is nearest in time to each instant of a grid of 25 a second: (T,) indices.

    seconds: (F,) rising, when the frames are shown. end: when the last one ends. takes: second ->
    whether frames of then are among them; the others' instants get -1. Computed from each time
    alone, so that nothing drifts at any frame rate.
    """
    grid = np.arange(max(1, round(end * FRAME_RATE))) / FRAME_RATE
    after = np.searchsorted(seconds, grid).clip(0, len(seconds) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(grid - seconds[before] <= np.abs(seconds[after] - grid), before, after)
    return np.where([takes(float(second)) for second in grid], nearest, -1)


def at_instants(
    frames: Iterable[Frame], shown: np.ndarray, wanted: Callable[[int], bool]
) -> Iterator[tuple[np.ndarray, int]]:
    """Yields the pixels (H, W, 3) uint8 RGB at each instant that is wanted, and its number.

    frames: those that `shown` (T,) of `instants` counts, in order; read no further than needed.
    Raises MediaError where there are fewer: the video became shorter.
    """
    order = np.argsort(shown, kind="stable")
    first = np.searchsorted(shown[order], np.arange(shown.max(initial=-1) + 2))
    left = iter(frames)
    for number, (begin, stop) in enumerate(pairwise(first)):
        frame = next(left, None)
        if frame is None:
            remedy = "do not change the video while it is evaluated"
            raise MediaError("the video now ends before its frame", number, remedy)
        chosen = [int(instant) for instant in order[begin:stop] if wanted(int(instant))]
        if chosen:
            pixels = sdr(frame).pixels
            yield from ((pixels, instant) for instant in chosen)


def counted(frames: Iterable[Frame], step: Callable[[], None]) -> Iterator[Frame]:
    """The same frames; step: called after each, see pipeline.progress."""
    for frame in frames:
        yield frame
        step()
