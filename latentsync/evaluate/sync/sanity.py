"""Recognises distances that no trained SyncNet gives: then there is no figure, but an error.

A network with other weights than the published ones runs all the same, and its curve always has a
least distance somewhere. Three things tell it from the real one. Distances of the published network
are 5 to 16, in sync or not. Within a row, audio of other moments is at other distances, in sync or
not, while an untrained network sees nearly the same in all of them. And zero vectors at the ends of
a track, which are nearer to everything in such a network, push its offset to the end of the range.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.evaluate.sync.distances import REACH, SHIFTS, confidence, mean_curve, offset

NEAREST, FARTHEST = 2.0, 45.0
"""Median distance that is plausible: published ones lie between 5 and 16."""
FLAT = 0.02
"""Spread of the distances within a row, as a share of their mean, below which a row tells nothing.
"""
"""FIXME numbers."""


def check_distances(rows: np.ndarray, weights: Path) -> None:
    """rows: (K, 32), see evaluate.sync.score. Raises CheckpointError: no trained SyncNet."""
    if not len(rows):
        return
    complaint = complaint_about(rows[:, :SHIFTS])
    if complaint:
        raise CheckpointError(
            "these weights measure no sync",
            f"{weights}: {complaint}",
            "they are untrained, or of another network; use the published syncnet_v2.model",
        )


def complaint_about(distances: np.ndarray) -> str:
    """distances: (K, 31) -> what no trained SyncNet gives; empty: nothing."""
    curve = mean_curve(distances)
    typical, spread = float(np.median(curve)), _spread(distances)
    if not NEAREST <= typical <= FARTHEST:
        return f"lips and audio are {typical:.4g} apart, those of SyncNet are 5 to 16"
    if spread < FLAT:
        return (
            f"offset {offset(curve):+d} of {REACH}, confidence {confidence(curve):.3f} at a "
            f"distance of {curve.min():.4g}: audio of any moment is as near"
        )
    return ""


def _spread(distances: np.ndarray) -> float:
    """Median over the rows of their standard deviation over their mean."""
    return float(np.median(distances.std(axis=1) / distances.mean(axis=1)))
