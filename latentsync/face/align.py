"""From landmarks to affine matrices: the similarity of face to template, smoothed over time."""

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
"""Sigma in frames below which nothing is smoothed: neighbours would weigh less than 1e-5."""
REACH = 3
"""A Gaussian window ends at this many sigmas."""
MOTION = 0.006
"""Distance of a point from its smoothed path, in brow distances, above which it counts as moving.
Noise on still faces is 0.0015 to 0.003; see steady_track."""
CROSSING = 0.04
"""Seconds, before and after, for which a face counts as moving: a nod crosses its smoothed path at
full speed, where the distance is 0."""


def smooth_track(values: np.ndarray, sigma: float, *, degree: int = 1) -> np.ndarray:
    """values: (F, ...), one per frame of one unbroken run -> same shape, float64; sigma in frames.

    Fits a polynomial to each frame's neighbours under a Gaussian window. Degrees 0 and 1 are the
    plain zero-phase Gaussian, except at the ends of the run, where degree 1 keeps constant motion;
    degree 2 also keeps acceleration. sigma 0: no smoothing.
    """
    if sigma < NARROWEST:
        return values.astype(np.float64)
    frames = len(values)
    reach = math.ceil(REACH * sigma - 1e-6)  # sigma may be 2.0000001 after conversion from seconds
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

    seconds: (F,) float64, presentation times, rising. smoothing_seconds: sigma; 0: off. Strong
    smoothing where the face is still, light where it moves, none where it moves fast. On a still
    face with noise of 2 code values the corners of the crop jitter by less than 0.1 px (0.5 px as
    detected). On a moving one, where a plain Gaussian of 0.08 s is up to 5.6 px off, the texture at
    the mouth drifts by 0.96 px a frame (1.05 px as detected).
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

    seconds: presentation time of each frame, rising. smoothing_seconds: sigma, see steady_track;
    converted to frames by the typical frame duration of each run. Each unbroken run of a track is
    smoothed separately. The alignments' landmarks are as detected: lips move faster than the head.
    """
    times = np.asarray(seconds, np.float64)
    aligned: list[Alignment | None] = []
    for _, run in groupby(chosen, key=lambda one: None if one is None else one.track):
        frames = list(run)
        run_times = times[len(aligned) : len(aligned) + len(frames)]
        faces = [one for one in frames if one is not None]
        if not faces:
            aligned += [None] * len(frames)
            continue
        points = np.stack([one.face.landmarks[CONTROL] for one in faces])
        steady = steady_track(points, seconds=run_times, smoothing_seconds=smoothing_seconds)
        matrices = similarity(steady, TEMPLATE)
        aligned += [_alignment(one, matrix) for one, matrix in zip(faces, matrices, strict=True)]
    return aligned


def _alignment(one: ChosenFace, matrix: np.ndarray) -> Alignment:
    face = one.face
    return Alignment(matrix, face.landmarks, face.confidence, one.track, face.outline)


def _widened(share: np.ndarray, reach: int) -> np.ndarray:
    """share: (F,) -> (F,): the largest within ``reach`` frames of each."""
    padded = np.pad(share, reach, mode="edge")
    return sliding_window_view(padded, 2 * reach + 1).max(axis=-1)


def _kernel(first: int, last: int, sigma: float, degree: int) -> np.ndarray:
    """Weights of the frames first..last, relative to the fitted frame."""
    offsets = np.arange(first, last + 1)
    weight = np.exp(-0.25 * (offsets / sigma) ** 2)[:, None]
    powers = np.vander(offsets / sigma, min(degree, len(offsets) - 1) + 1, increasing=True)
    return np.linalg.pinv(weight * powers)[0] * weight[:, 0]
