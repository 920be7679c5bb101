"""Recognises distances that no trained SyncNet gives: then there is no figure, but an error.

A network with other weights than the published ones runs all the same, and its curve has a least
distance somewhere, mostly at -15: the zero vectors beyond the ends of a track are nearest. Two
things tell it from the real one, whether or not lips and audio are in sync:

- To a trained network audio of another moment is something else. To an untrained one it is all the
  same: the distances of a window to the audio at 31 shifts differ by 0.3 to 1.1 % (standard
  deviation over mean; three kinds of random weights, videos of five people). The published weights
  were not to be had here. By their figures a confidence of 3, the least that LatentSync trains on,
  is a dip of 20 % in a curve at 15; FLAT is far below, so that bad sync is not taken for it.
- The published network's distances are 5 to 16. The tests' weights, made by rule, give 600.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.evaluate.sync.distances import REACH, SHIFTS, confidence, mean_curve, offset

NEAREST, FARTHEST = 2.0, 45.0
"""Plausible median distance."""
FLAT = 0.015
"""Share of their mean by which the distances of a window have to differ."""
_TELLING = 90
"""Percentile of the windows that is looked at: most of a video may be without speech."""


def check_distances(rows: np.ndarray, weights: Path) -> None:
    """rows: (K, 32), see evaluate.sync.score. weights: for the message.

    Raises CheckpointError: no trained SyncNet gives these.
    """
    told = complaint_about(rows)
    if told:
        remedy = "it is untrained, or of another network; use the published syncnet_v2.model"
        raise CheckpointError("no measure of sync", f"{weights}: {told}", remedy)


def complaint_about(rows: np.ndarray) -> str:
    """rows: (K, 32) -> what no trained SyncNet gives; empty: nothing."""
    inner = _without_padding(rows)
    if not len(inner):
        return ""
    curve = mean_curve(rows[:, :SHIFTS])
    seen = (
        f"offset {offset(curve):+d} (of {REACH} at most), confidence {confidence(curve):.2g} "
        f"at distances of {np.median(curve):.3g}"
    )
    if not NEAREST <= np.median(inner) <= FARTHEST:
        return f"{seen}, where SyncNet's are 5 to 16"
    spread = np.percentile(inner.std(axis=1) / inner.mean(axis=1), _TELLING)
    if spread < FLAT:
        return f"{seen}, which differ by only {100 * spread:.1f} % from one shift to the next"
    return ""


def _without_padding(rows: np.ndarray) -> np.ndarray:
    """(K, 32) -> (m, 31): the windows whose shifts all lie within their track."""
    distances, numbers = rows[:, :SHIFTS], rows[:, SHIFTS]
    tracks = [distances[numbers == number][REACH:-REACH] for number in np.unique(numbers)]
    return np.concatenate([np.empty((0, SHIFTS)), *tracks])
