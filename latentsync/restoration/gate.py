"""The offline gate: selects the frames to restore, with fades. Pure functions over a track.

The whole track is known, and the decisions are symmetric in time: a reversed video gets the same.
All limits are in seconds: one video at several frame rates gets the same decisions, up to a frame.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from latentsync.errors import ConfigError
from latentsync.frame_times import PTS_ROUNDING, frame_duration, frame_spans

GENTLE = 0.5
"""Share of a restoration that an uncertain mouth gets, where restore.uncertain is "gentle"."""

EVIDENCE_REACH = 1.5
"""Seconds, before a frame and after it, over which what was measured of its edges is averaged: they
swing with the opening of the mouth and with the head. A shorter dub is not told from its video."""
# A mouth's blur varies with its opening, so the gate uses the median over a second.
_MEDIAN_REACH = 0.5  # seconds, before a frame and after it
_SAME_TIME = 1e-6  # relative; sums of frame durations that differ by less are equal
_BLOCK = 1024  # frames whose medians are taken at once: 3 MB at 120 frames a second


class MouthState(IntEnum):
    """State of a mouth by the gate. NONE: there is no face. UNKNOWN: it could not be measured.
    TOO_SMALL: below restore.min_scale."""

    NONE = 0
    UNKNOWN = 1
    TOO_SMALL = 2
    FILMED = 3
    UNCERTAIN = 4
    DEGRADED = 5


def judge(
    scale: np.ndarray,
    blur: np.ndarray,
    *,
    seconds: np.ndarray,
    min_scale: float,
    blur_on: float,
    blur_off: float,
    min_run_seconds: float = 0.64,
) -> np.ndarray:
    """(F,) int8 of MouthState, for the frames of one track.

    scale: (F,) frame pixels per generator pixel. blur: (F,), the higher the likelier is the mouth
    degraded; nan where it is not known. seconds: (F,) float64, presentation times, rising.
    Below min_scale the face is too small in the frame to gain. Hysteresis: a run of frames over
    blur_off is degraded if it holds one over blur_on, else uncertain. Gaps and runs shorter than
    min_run_seconds are removed, whatever the frames in them show.
    """
    size, figure = running_median(scale, seconds), running_median(blur, seconds)
    large = size >= min_scale
    over_off = (figure > blur_off) & large
    held = _runs_that_hold(over_off, over_off & (figure > blur_on))
    degraded = _levelled(held, seconds, min_run_seconds)
    uncertain = _levelled(over_off & ~held, seconds, min_run_seconds)
    mouths = np.full(len(scale), MouthState.FILMED, np.int8)
    mouths[np.isnan(figure)] = MouthState.UNKNOWN
    mouths[~large] = MouthState.TOO_SMALL
    mouths[uncertain] = MouthState.UNCERTAIN
    mouths[degraded] = MouthState.DEGRADED
    return mouths


def wanted(mouths: np.ndarray, *, when: str, uncertain: str) -> tuple[np.ndarray, np.ndarray]:
    """(F,) bool twice: the frames to restore wholly, and those to restore gently at least.

    mouths: (F,) of MouthState. when: "always", "never" or "auto": by the mouths' states.
    uncertain: "leave" or "gentle". ConfigError for another when.
    """
    if when not in ("auto", "always", "never"):
        raise ConfigError("restore.when", when, "use auto, always or never")
    if when != "auto":
        all_alike = np.full(len(mouths), when == "always")
        return all_alike, all_alike
    wholly = mouths == MouthState.DEGRADED
    return wholly, wholly | ((mouths == MouthState.UNCERTAIN) & (uncertain == "gentle"))


def strengths(
    needed: np.ndarray,
    *,
    seconds: np.ndarray,
    fade_seconds: float,
    fade_start: bool,
    fade_end: bool,
) -> np.ndarray:
    """Returns the strength of the restoration for each frame, (F,) float32 in [0, 1].

    needed: (F,) bool of one track. seconds: (F,) float64, presentation times, rising. A run rises
    over fade_seconds like half a cosine, inside itself, and falls in the same way.
    fade_start, fade_end: whether the track borders on frames of the same shot without this face; at
    a cut and at the video's ends there is no fade.
    """
    step = frame_duration(seconds)
    strength = np.zeros(len(needed), np.float32)
    for start, end in runs(needed):
        times = seconds[start:end]
        since = times - times[0] + step if start > 0 or fade_start else np.inf
        until = times[-1] - times + step if end < len(needed) or fade_end else np.inf
        rise = np.clip(np.minimum(since, until) / (fade_seconds + step), 0, 1)
        strength[start:end] = 0.5 - 0.5 * np.cos(np.pi * rise)
    return strength


def running_median(
    values: np.ndarray, seconds: np.ndarray, reach: float = _MEDIAN_REACH
) -> np.ndarray:
    """(F,) -> (F,): median of the known values around each; nan where there is none.

    seconds: (F,) float64, presentation times, rising. reach: seconds, before a frame and after it.

    Frames are weighted by their duration.
    """
    known = np.flatnonzero(~np.isnan(values))
    figures, times = values[known].astype(np.float64), seconds[known]
    begin, end = (border[known] for border in frame_spans(seconds))
    reach = reach + PTS_ROUNDING
    first = np.searchsorted(times, seconds - reach, side="left")
    stop = np.searchsorted(times, seconds + reach, side="right")
    medians = np.full(len(values), np.nan)
    some = np.flatnonzero(first < stop)
    for rows in np.split(some, range(_BLOCK, len(some), _BLOCK)):
        longest = (stop - first)[rows].max(initial=0)
        near = first[rows, None] + np.arange(longest)
        inside = near < stop[rows, None]
        near = np.where(inside, near, 0)
        since = np.maximum(begin[near], seconds[rows, None] - reach)
        until = np.minimum(end[near], seconds[rows, None] + reach)
        medians[rows] = _weighted_medians(figures[near], (until - since) * inside)
    return medians


def _weighted_medians(values: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(R, W), (R, W) -> (R,): the median of each row, weighted by seconds.

    The mean of the two middle values where they tie. Values of 0 seconds do not count.
    """
    order = np.argsort(values, axis=1)
    passed = np.cumsum(np.take_along_axis(seconds, order, axis=1), axis=1)
    half = passed[:, -1:] / 2
    below = [(passed < half * slip).sum(axis=1) for slip in (1 - _SAME_TIME, 1 + _SAME_TIME)]
    picked = np.take_along_axis(order, np.stack(below, axis=1), axis=1)
    return np.take_along_axis(values, picked, axis=1).mean(axis=1)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Half-open [start, end) of each run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(steps[::2], steps[1::2], strict=True)]


def _levelled(flags: np.ndarray, seconds: np.ndarray, least: float) -> np.ndarray:
    """Without gaps, and then without runs, that last less than ``least`` seconds."""
    filled = ~_drop_short(~flags, seconds, least, keep_ends=True)
    return _drop_short(filled, seconds, least, keep_ends=False)


def _runs_that_hold(flags: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    kept = np.zeros_like(flags)
    for start, end in runs(flags):
        kept[start:end] = evidence[start:end].any()
    return kept


def _drop_short(
    flags: np.ndarray, seconds: np.ndarray, least: float, *, keep_ends: bool
) -> np.ndarray:
    """Runs of True that last less than ``least`` seconds become False.

    A run lasts from its first frame to its last, and one typical frame more. keep_ends: runs at the
    track's ends stay. A track that is one run is unchanged, however short.
    """
    kept = flags.copy()
    step = frame_duration(seconds)
    for start, end in runs(flags):
        at_end = start == 0 or end == len(flags)
        whole = start == 0 and end == len(flags)
        lasts = seconds[end - 1] - seconds[start] + step
        if lasts < least - PTS_ROUNDING and not whole and not (keep_ends and at_end):
            kept[start:end] = False
    return kept
