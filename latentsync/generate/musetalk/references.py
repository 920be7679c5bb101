"""Chooses the reference of each frame: another frame of the same track, of like pose, lips closed.

MuseTalk was trained with a reference of like pose and unlike lips (data/sample_method.py:201-225).
Its own scripts give it the frame itself, whose lips can leak into the result.
"""

from __future__ import annotations

import numpy as np

from latentsync.generate.base import Footage
from latentsync.generate.replay.lips import head_pose, lip_shape

MOST_CLOSED = 10  # percentile of the aperture of a track's lips up to which a frame may be one
CANDIDATES = 16  # of a track, evenly spread
CHANGE = 0.5
"""Cost of another reference than the frame before, in distances between the eyes, as for poses: the
head has to be turned for some time until it is worth while."""


def choose_references(footage: Footage, frames: np.ndarray) -> dict[int, int]:
    """Frame -> its reference. frames: rising indices, each with a face.

    Nothing is in front of the face of a reference, unless every frame of the track is covered.
    """
    tracks = np.array([-1 if one is None else one.track for one in footage.alignments])
    chosen: dict[int, int] = {}
    for track in np.unique(tracks[frames]):
        own, targets = np.flatnonzero(tracks == track), frames[tracks[frames] == track]
        points = np.stack([_landmarks(footage, index) for index in own.tolist()])
        pose, aperture = head_pose(points), lip_shape(points)[:, 0]
        places = _candidates(aperture, ~footage.occluded[own])
        at = np.searchsorted(own, targets)
        distance = np.linalg.norm(pose[at][:, None] - pose[places][None], axis=2)
        path = places[_steady_path(distance)]
        chosen |= dict(zip(targets.tolist(), own[path].tolist(), strict=True))
    return chosen


def _landmarks(footage: Footage, index: int) -> np.ndarray:
    alignment = footage.alignments[index]
    assert alignment is not None
    return alignment.landmarks


def _candidates(aperture: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Places of the most closed lips, rising. aperture, clean: (F,) of one track."""
    clean = clean if clean.any() else np.ones_like(clean)
    closed = clean & (aperture <= np.percentile(aperture[clean], MOST_CLOSED))
    places = np.flatnonzero(closed)
    spread = np.linspace(0, len(places) - 1, min(CANDIDATES, len(places)))
    return places[spread.round().astype(int)]


def _steady_path(distance: np.ndarray) -> np.ndarray:
    """distance: (K, U) -> (K,) int in [0, U): the cheapest choices; each change costs CHANGE."""
    count, options = distance.shape
    total, came_from = distance[0].copy(), np.zeros((count, options), int)
    for row in range(1, count):
        best = int(total.argmin())
        changed = total[best] + CHANGE < total
        came_from[row] = np.where(changed, best, np.arange(options))
        total = np.where(changed, total[best] + CHANGE, total) + distance[row]
    path = np.empty(count, int)
    path[-1] = total.argmin()
    for row in range(count - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path
