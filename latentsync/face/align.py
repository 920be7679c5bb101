"""From landmarks to matrices: the similarity that lays a face on the template, held steady."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from latentsync.face.landmarks import CONTROL
from latentsync.face.tracks import ChosenFace
from latentsync.frame_times import frame_duration
from latentsync.geometry import TEMPLATE, similarity
from latentsync.types import Alignment

NARROWEST = 0.2
"""A window of fewer frames holds but one: its neighbours weigh less than 1e-5."""
REACH = 3
"""A Gaussian window ends at this many sigmas."""
MOTION = 0.006
"""A point that strays from its smoothed path by this many brow distances begins to count as moving.
Noise strays by 0.0015 to 0.003, measured on still faces; see steady_track."""
CROSSING = 0.04
"""Seconds, before and after, for which a face counts as moving: a nod crosses its smoothed path at
full speed, without straying from it."""


def smooth_track(values: np.ndarray, sigma: float, *, degree: int = 1) -> np.ndarray:
    """values: (F, ...), one per frame of one unbroken run -> same shape, float64; sigma in frames.

    A polynomial fitted to each frame's neighbours under a Gaussian window. Degrees 0 and 1 are the
    plain zero-phase Gaussian, except at the ends of the run, where degree 1 keeps a steady motion
    steady; degree 2 also leaves acceleration alone. sigma 0: values as they are.
    """
    if sigma < NARROWEST:
        return values.astype(np.float64)
    frames = len(values)
    reach = math.ceil(REACH * sigma - 1e-6)  # a sigma out of seconds is 2.0000001 frames at times
    flat = values.reshape(frames, -1).astype(np.float64)
    inner = _kernel(-reach, reach, sigma, degree)
    smooth = np.empty_like(flat)
    for i in range(frames):
        first, last = max(-reach, -i), min(reach, frames - 1 - i)
        whole = last - first == 2 * reach
        kernel = inner if whole else _kernel(first, last, sigma, degree)
        smooth[i] = kernel @ flat[i + first : i + last + 1]
    return smooth.reshape(values.shape)


def steady_track(
    points: np.ndarray, *, seconds: np.ndarray, smoothing_seconds: float
) -> np.ndarray:
    """points: (F, 3, 2), the CONTROL points of one unbroken run -> same shape, float64.

    seconds: (F,) float64, presentation times, rising. smoothing_seconds: sigma; 0: off. Smoothed
    hard where the face keeps still, lightly where it moves, not at all where it moves fast. On a
    still face with noise of 2 levels the corners of the crop stray by less than 0.1 px (0.5 px as
    detected). On a lively one, where a plain Gaussian of 0.08 s is up to 5.6 px off, the face's own
    texture drifts by 0.96 px a frame at the mouth (1.05 px as detected).
    """
    rate = 1 / frame_duration(seconds)
    sigma, crossing = smoothing_seconds * rate, max(1, round(CROSSING * rate))
    path = points.astype(np.float64)
    for width, degree in ((sigma / 2, 2), (2 * sigma, 1)):
        smooth = smooth_track(points, width, degree=degree)
        brows = np.linalg.norm(smooth[:, 1] - smooth[:, 0], axis=-1)
        stray = np.linalg.norm(points - smooth, axis=-1).max(axis=-1) / np.maximum(brows, 1e-6)
        moving = _widened(np.clip(stray / MOTION - 1, 0, 1), crossing)
        moving = smooth_track(moving, sigma / 2, degree=0)
        path = smooth + moving[:, None, None] * (path - smooth)
    return path


def align_video(
    chosen: Sequence[ChosenFace | None],
    *,
    seconds: Sequence[float] | np.ndarray,
    smoothing_seconds: float,
) -> list[Alignment | None]:
    """The face of each frame -> its alignment, None where there is none.

    seconds: presentation time of each frame, rising. smoothing_seconds: sigma, see steady_track; by
    the typical frame duration of each run it becomes a number of frames. Each unbroken run of a
    track is smoothed by itself. The alignments' landmarks are as detected: a mouth is not to be
    smoothed like a skull.
    """
    times = np.asarray(seconds, np.float64)
    aligned: list[Alignment | None] = []
    for _, run in groupby(chosen, key=lambda one: None if one is None else one.track):
        frames = list(run)
        own = times[len(aligned) : len(aligned) + len(frames)]
        faces = [one for one in frames if one is not None]
        if not faces:
            aligned += [None] * len(frames)
            continue
        points = np.stack([one.face.landmarks[CONTROL] for one in faces])
        steady = steady_track(points, seconds=own, smoothing_seconds=smoothing_seconds)
        matrices = similarity(steady, TEMPLATE)
        aligned += [_alignment(one, matrix) for one, matrix in zip(faces, matrices, strict=True)]
    return aligned


def _alignment(one: ChosenFace, matrix: np.ndarray) -> Alignment:
    return Alignment(matrix, one.face.landmarks, one.face.confidence, one.track)


def _widened(share: np.ndarray, reach: int) -> np.ndarray:
    """share: (F,) -> (F,): the largest within ``reach`` frames of each."""
    padded = np.pad(share, reach, mode="edge")
    return sliding_window_view(padded, 2 * reach + 1).max(axis=-1)


def _kernel(first: int, last: int, sigma: float, degree: int) -> np.ndarray:
    """Weights of the frames first..last, counted from the one whose fitted value they give."""
    offsets = np.arange(first, last + 1)
    weight = np.exp(-0.25 * (offsets / sigma) ** 2)[:, None]
    powers = np.vander(offsets / sigma, min(degree, len(offsets) - 1) + 1, increasing=True)
    return np.linalg.pinv(weight * powers)[0] * weight[:, 0]
