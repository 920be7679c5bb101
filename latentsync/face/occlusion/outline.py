"""The face's own outline as a mask: on a head that turns, no patch reaches the background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import cv2
import numpy as np

from latentsync.face.align import REACH, smooth_track
from latentsync.face.occlusion.cells import BESIDE, CELL, MASK_COLUMNS, MASK_ROWS, moved, to_cells
from latentsync.frame_times import frame_duration
from latentsync.geometry import points_to_aligned
from latentsync.types import Alignment

STEADY_SECONDS = 0.06
"""Sigma. As detected, an outline jitters by 1 to 3 % of the face's width."""
GROWN, FADED = 8.0, 20.0
"""Aligned pixels beyond the outline up to which the mask is 1, and from which on it is 0."""
MOUTH_ROW = 330.0
CHIN = 36.0
"""Aligned pixels by which the outline is lengthened at the chin, from the mouth's row down: a
generated mouth may open wider than the one that was filmed."""
BLOCK = 1000
"""Frames whose outlines are smoothed at once, as float64: a long run would take 2 kB a frame."""
_FINE = 4  # bits of a cell


def with_steady_outlines(
    alignments: Sequence[Alignment | None], seconds: np.ndarray
) -> list[Alignment | None]:
    """The alignments of a video's frames -> the same, their outlines smoothed in each run.

    seconds: (F,), presentation times, rising.
    """
    steady: list[Alignment | None] = []
    for _, run in groupby(alignments, key=lambda one: None if one is None else one.track):
        known = list(run)
        times = seconds[len(steady) : len(steady) + len(known)]
        faces = [one for one in known if one is not None]
        if not faces:
            steady += known
            continue
        matrices = np.stack([one.matrix for one in faces])
        outlines = steady_outlines([one.outline for one in faces], matrices, times)
        pairs = zip(faces, outlines, strict=True)
        steady += [replace(face, outline=outline) for face, outline in pairs]
    return steady


def steady_outlines(
    outlines: Sequence[np.ndarray | None], matrices: np.ndarray, seconds: np.ndarray
) -> list[np.ndarray | None]:
    """Outlines (K, 2) of one unbroken run of a track -> the same, smoothed as the face sees them.

    In frame pixels. matrices: (F, 2, 3) frame -> aligned crop, smoothed. seconds: (F,), rising.
    Runs of frames that have one are smoothed separately.
    """
    steady: list[np.ndarray | None] = [None] * len(outlines)
    sigma = STEADY_SECONDS / frame_duration(seconds)
    known = [i for i, one in enumerate(outlines) if one is not None]
    if not known:
        return steady
    reach = math.ceil(REACH * sigma)
    for run in np.split(np.array(known), np.flatnonzero(np.diff(known) > 1) + 1):
        for start in range(0, len(run), BLOCK):
            first, stop = max(start - reach, 0), start + BLOCK
            near = run[first : stop + reach]
            points = np.stack([np.asarray(outlines[i]) for i in near])
            aligned = smooth_track(points_to_aligned(points, matrices[near]), sigma)
            for i, one in zip(run[start:stop], aligned[start - first : stop - first], strict=True):
                steady[i] = moved(one, cv2.invertAffineTransform(matrices[i])).astype(np.float32)
    return steady


def face_mask(outline: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(140, 105) float32 in [0, 1], the aligned crop in cells: 1 on the face, 0 beside it.

    outline: (K, 2) frame pixels, closed. matrix: (2, 3), frame -> aligned crop.
    """
    points = moved(outline, to_cells(matrix)) - [BESIDE, 0]
    below = np.clip(points[:, 1] - MOUTH_ROW / CELL, 0, None)
    points[:, 1] += CHIN / CELL * (below / max(float(below.max()), 1e-6)) ** 2
    drawn = np.zeros((MASK_ROWS, MASK_COLUMNS), np.uint8)
    corners = np.rint(points * 2**_FINE).astype(np.int32)
    beside = 1 - np.asarray(cv2.fillPoly(drawn, [corners], 1, shift=_FINE))
    if beside.all():
        return np.zeros((MASK_ROWS, MASK_COLUMNS), np.float32)
    away = cv2.distanceTransform(beside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * CELL
    share = np.clip((FADED - away) / (FADED - GROWN), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
