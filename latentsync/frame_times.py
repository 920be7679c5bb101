"""Durations of frames from presentation times. Pure functions."""

from __future__ import annotations

import numpy as np

PTS_ROUNDING = 0.0021
"""Seconds by which a time span may differ from the true one: Matroska rounds each presentation time
to a millisecond, and a frame duration is the difference of two. A span that is longer than a limit
by less counts as within it, and one that is shorter by less counts as reaching it. A little more
than 2 ms: no span in whole milliseconds lies on the edge."""

USUAL_FRAME_DURATION = 1 / 25
"""Seconds; for a single frame, whose duration is unknown."""


def frame_duration(seconds: np.ndarray) -> float:
    """The typical frame duration in seconds: the median step.

    seconds: (F,) float64, presentation times, rising. 1/25 for fewer than two frames.
    """
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else USUAL_FRAME_DURATION


def frame_spans(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F,), (F,) float64: start and end in seconds of the interval that each frame represents.

    seconds: (F,) float64, presentation times, rising. The borders lie halfway between two frames,
    so that a reversed video has the same; the intervals of the first and last frame are symmetric.
    """
    steps = np.diff(seconds)
    if not len(steps):
        steps = np.full(1, USUAL_FRAME_DURATION)
    halves = np.concatenate([steps[:1], steps, steps[-1:]]) / 2
    return seconds - halves[: len(seconds)], seconds + halves[len(halves) - len(seconds) :]
