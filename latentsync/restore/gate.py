"""Which frames are restored, and how the decision fades in and out. Pure functions over a track.

Pass 1 knows the track from end to end, so nothing here runs forward in time only: a film played
backwards gets the same decisions.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from latentsync.errors import ConfigError

# A mouth's sharpness swings with its opening: a second's median is the evidence, not a frame.
_MEDIAN_FRAMES = 25
# A generated mouth that was enlarged on its way into the frame is short of detail by construction:
# from 1 to 2 frame pixels per generator pixel both thresholds rise by so much.
_EAGERNESS = 0.05


def need(
    scale: np.ndarray,
    sharpness: np.ndarray,
    *,
    when: str,
    min_scale: float,
    sharpness_on: float,
    sharpness_off: float,
    min_run: int = 16,
) -> np.ndarray:
    """(F,) bool: the frames of one track to restore.

    scale: (F,) frame pixels per generator pixel. sharpness: (F,), nan where it is not known.
    when: "always", "never" or "auto": the evidence is the sharpness; below min_scale the face is
    too small on the screen to gain. Hysteresis: a run of frames under sharpness_off counts if it
    holds one under sharpness_on. Gaps and runs shorter than min_run frames are levelled.
    ConfigError for another when.
    """
    if when not in ("auto", "always", "never"):
        raise ConfigError("restore.when", when, "use auto, always or never")
    if when != "auto":
        return np.full(len(scale), when == "always")
    size, figure = _running_median(scale), _running_median(sharpness)
    eager = _EAGERNESS * np.clip(size - 1, 0, 1)
    under_off = (figure < sharpness_off + eager) & (size >= min_scale)
    under_on = under_off & (figure < sharpness_on + eager)
    wanted = _runs_that_hold(under_off, under_on)
    wanted = ~_drop_short(~wanted, min_run, keep_ends=True)
    return _drop_short(wanted, min_run, keep_ends=False)


def weights(
    needed: np.ndarray, *, fade_frames: int, fade_start: bool, fade_end: bool
) -> np.ndarray:
    """(F,) float32 in [0, 1]: strength of the restoration in each frame; 0 where it is not needed.

    needed: (F,) bool of one track. A run rises over fade_frames like half a cosine, inside itself.
    fade_start, fade_end: whether the track's first and last frame border on frames of the same shot
    without this face; at a cut and at the film's ends there is nothing to fade into.
    """
    padded = np.concatenate([[not fade_start], needed, [not fade_end]]).astype(bool)
    distance = np.minimum(_since(~padded), _since(~padded[::-1])[::-1])[1:-1]
    rise = np.clip(distance / (fade_frames + 1), 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * rise)).astype(np.float32) * needed


def _since(flags: np.ndarray) -> np.ndarray:
    """(F,) bool -> (F,) float: frames since the last True; inf before the first."""
    frames = np.arange(len(flags), dtype=np.float64)
    return frames - np.maximum.accumulate(np.where(flags, frames, -np.inf))


def _running_median(values: np.ndarray) -> np.ndarray:
    """(F,) -> (F,): median of the known values around each; nan where none is known nearby."""
    half = _MEDIAN_FRAMES // 2
    padded = np.pad(values.astype(np.float64), half, constant_values=np.nan)
    windows = sliding_window_view(padded, 2 * half + 1)
    known = ~np.isnan(windows).all(1)
    medians = np.full(len(values), np.nan)
    if known.any():
        medians[known] = np.nanmedian(windows[known], axis=1)
    return medians


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Half-open [start, end) of each run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(steps[::2], steps[1::2], strict=True)]


def _runs_that_hold(flags: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    kept = np.zeros_like(flags)
    for start, end in runs(flags):
        kept[start:end] = evidence[start:end].any()
    return kept


def _drop_short(flags: np.ndarray, min_run: int, *, keep_ends: bool) -> np.ndarray:
    """Runs of True shorter than min_run become False; keep_ends spares those at the track's ends.

    A track shorter than min_run is one run at most and stays as it is.
    """
    kept = flags.copy()
    for start, end in runs(flags):
        at_end = start == 0 or end == len(flags)
        whole = start == 0 and end == len(flags)
        if end - start < min_run and not whole and not (keep_ends and at_end):
            kept[start:end] = False
    return kept
