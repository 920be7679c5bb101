"""Which box of the aligned crop MuseTalk takes, and which part of it may be shown.

It was trained on upright boxes around 68 landmarks, stretched to a square. The line between what it
is given and what it generates runs across the bridge of the nose (point 29) and a little lower
(utils/preprocessing.py:113-125, scripts/inference.py:170-172). Our crops are upright and smoothed,
so one box serves a whole track: nothing jitters. Numbers are shares of the crop's width and height.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentsync.geometry import ALIGNED_HEIGHT, ALIGNED_WIDTH, points_to_aligned
from latentsync.types import Alignment

CHIN = 10  # place in Alignment.landmarks
NOSE_BRIDGE = 0.381
"""Height of point 29 of the 68: 0.358 to 0.398 on nine people. The crop is aligned by the nose."""
SIDES = 0.05, 0.91
"""Left and right end of the 68 points where the face model gives no outline: the mean of nine."""
BESIDE_EYES = 0.25  # the 68 points begin at this height; the outline goes over the forehead
PIXEL = 0.0028
"""A pixel of MuseTalk's settings, which count in pixels of the video, whatever the face's size: of
a face as in its training, the crop is 357 high."""
CHIN_OF_TRACK = 75
"""Percentile of the chin's height over a track: an open mouth lowers it, and what lies below the
box stays as filmed."""
LOWEST, HIGHEST = 0.95, 0.70  # chins beyond are taken for errors

ERODED = 34
"""Columns beyond the cheeks' over which upstream's mask shrinks to nothing, in a parsed crop of 512
(face_parsing/__init__.py:10-57)."""
COLUMNS = 253  # of that crop that the box is wide
LINE, EDGE = 0.03, 0.06  # of the square: half the width of the line's ramp; of that at the chin
BORDER = 4 / 256  # of the square: within it nothing may be shown at its sides


def face_box(
    faces: Sequence[Alignment], *, shift: float, margin: float
) -> tuple[float, float, float, float]:
    """-> left, top, right, bottom in aligned pixels from the crop's corner; top is mostly above it.

    faces: of all frames of a track. shift, margin: bbox_shift and extra_margin, see PIXEL.
    """
    matrices = np.stack([one.matrix for one in faces])
    chins = points_to_aligned(np.stack([one.landmarks for one in faces]), matrices)[:, CHIN, 1]
    chin = np.percentile((chins + 0.5) / ALIGNED_HEIGHT, CHIN_OF_TRACK).clip(HIGHEST, LOWEST)
    line = NOSE_BRIDGE + shift * PIXEL
    top, bottom = 2 * line - chin, chin + margin * PIXEL
    left, right = _sides(faces)
    return (
        left * ALIGNED_WIDTH,
        float(top) * ALIGNED_HEIGHT,
        right * ALIGNED_WIDTH,
        float(bottom) * ALIGNED_HEIGHT,
    )


def _sides(faces: Sequence[Alignment]) -> tuple[float, float]:
    """Medians over the track of the outline's ends; a head that turns moves them."""
    ends = []
    for one in faces:
        if one.outline is not None:
            x, y = points_to_aligned(one.outline[None], one.matrix[None])[0].T
            beside = x[y > BESIDE_EYES * ALIGNED_HEIGHT]
            if len(beside):
                ends.append((beside.min(), beside.max()))
    if not ends:
        return SIDES
    left, right = (np.median(ends, axis=0) + 0.5) / ALIGNED_WIDTH
    return float(left), float(right)


def shown_part(size: int, *, left: float, right: float) -> np.ndarray:
    """(R, R) float32 in [0, 1]: what of the square may be shown.

    Below the line, above the box's lower edge, and between the cheeks. left, right: widths of the
    cheeks, as upstream counts them.
    """
    place = (np.arange(size) + 0.5) / size
    rows = _ramp((place - 0.5 + LINE) / (2 * LINE)) * _ramp((1 - place) / EDGE)
    across = (place - 0.5) * COLUMNS
    width = np.where(across < 0, left, right)
    columns = _ramp((width + ERODED - np.abs(across)) / ERODED)
    columns *= np.minimum(place, 1 - place) > BORDER
    return (rows[:, None] * columns).astype(np.float32)


def _ramp(x: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, level at both ends."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
