"""Head pose in degrees from landmarks of one frame: an approximation, for limits.

The face mesh's own depth shows only half to two thirds of a turn, so the angles are from ratios of
its x and y. They were scaled by eye on five people who turn by up to 40 degrees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentsync.face.landmarks import LANDMARKS
from latentsync.types import Alignment

_EYE_LEFT, _EYE_RIGHT, _NOSE_TIP = (
    LANDMARKS.index(name) for name in ("eye_left", "eye_right", "nose_tip")
)

YAW_BY_OUTLINE = 65.0
"""Degrees where the tip of the nose is as far to the side as the outline of the face: between the
sine and the tangent of a head whose nose stands out of its outline. 0.55 is about 37 degrees."""
YAW_BY_EYES = 115.0
"""Degrees by which the tip of the nose moves aside by one distance between the eyes: 1.75 (1.6 to
2.4, of eight people) times less of the outline's half width."""
PITCH = 95.0
"""The same up and down, where it is LEVEL for a head that looks straight ahead."""
LEVEL = 0.54
_STEEPEST = 90.0


def yaw(landmarks: np.ndarray, outlines: Sequence[np.ndarray | None]) -> np.ndarray:
    """(F,) float64 degrees in [-90, 90]; positive: the face turns to the right of the frame.

    landmarks: (F, len(LANDMARKS), 2) frame pixels. outlines: F of (K, 2), the closed outline of the
    face; None: there is none, and the eyes take its place, about a fifth less exact. Roll and zoom
    have no influence.
    """
    across, nose = _from_eyes(landmarks)
    degrees = YAW_BY_EYES * nose[:, 0]
    for f, outline in enumerate(outlines):
        if outline is not None:
            sides = (outline - _middle(landmarks[f])) @ across[f] / max(across[f] @ across[f], 1e-9)
            half = max((sides.max() - sides.min()) / 2, 1e-9)
            degrees[f] = YAW_BY_OUTLINE * (nose[f, 0] - (sides.max() + sides.min()) / 2) / half
    return degrees.clip(-_STEEPEST, _STEEPEST)


def pitch(landmarks: np.ndarray) -> np.ndarray:
    """(F,) float64 degrees in [-90, 90]; positive: the face looks down.

    landmarks: as for yaw. Noses differ: two people who look straight ahead differ by up to 15
    degrees, so only a change within one track is reliable.
    """
    _, nose = _from_eyes(landmarks)
    narrowed = np.cos(np.radians(YAW_BY_EYES * nose[:, 0]).clip(-1.2, 1.2))
    return (PITCH * (nose[:, 1] * narrowed - LEVEL)).clip(-_STEEPEST, _STEEPEST)


def yaw_of(alignments: Sequence[Alignment | None]) -> np.ndarray:
    """(F,) float64 degrees, nan without a face; see yaw."""
    found = [one for one in alignments if one is not None]
    degrees = np.full(len(alignments), np.nan)
    if found:
        landmarks = np.stack([one.landmarks for one in found])
        known = np.array([one is not None for one in alignments])
        degrees[known] = yaw(landmarks, [one.outline for one in found])
    return degrees


def _middle(points: np.ndarray) -> np.ndarray:
    """(..., len(LANDMARKS), 2) -> (..., 2) float64: between the eyes."""
    return (points[..., _EYE_LEFT, :].astype(np.float64) + points[..., _EYE_RIGHT, :]) / 2


def _from_eyes(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, 2) from eye to eye [pixels]; (F, 2) tip of the nose, along and down, in eye distances."""
    exact = landmarks.astype(np.float64)
    across = exact[:, _EYE_RIGHT] - exact[:, _EYE_LEFT]
    nose = exact[:, _NOSE_TIP] - _middle(exact)
    along = (nose * across).sum(axis=1)
    down = across[:, 0] * nose[:, 1] - across[:, 1] * nose[:, 0]
    squared = np.maximum((across**2).sum(axis=1), 1e-9)
    return across, np.stack([along, down], axis=1) / squared[:, None]
