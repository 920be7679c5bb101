"""The named landmarks that everything uses, and their indices in two face models.

Where possible a landmark is the mean of several points of the model, which jitters less.
"""

from __future__ import annotations

import numpy as np

LANDMARKS: tuple[str, ...] = (
    "brow_left",
    "brow_right",
    "nose",
    "eye_left",
    "eye_right",
    "nose_tip",
    "mouth_left",
    "mouth_right",
    "lip_upper",
    "lip_lower",
    "chin",
)
"""Image-left first (of an upright face). Left and right are the viewer's, not the person's."""

CONTROL = slice(0, 3)
"""Landmarks of LatentSync's alignment: centres of the brows' upper edges and of the nose."""

FIVE = slice(3, 8)
"""The five points of the FFHQ template: eyes, nose tip, corners of the mouth."""

MOUTH = slice(6, 10)
"""Its corners, and the lips' inner edges."""

MESH_POINTS: dict[str, tuple[int, ...]] = {
    "brow_left": (70, 63, 105, 66, 107),
    "brow_right": (300, 293, 334, 296, 336),
    # Half from the ridge and tip, half from the wings, as 74, 86 and 77, 83 of the 106 points.
    "nose": (195, 5, 4, 1, 129, 358, 49, 279),
    # Corners and their neighbours, not lids or iris, which blinks and glances move.
    "eye_left": (33, 246, 7, 133, 173, 155),
    "eye_right": (263, 466, 249, 362, 398, 382),
    "nose_tip": (1, 4),
    "mouth_left": (61, 76),
    "mouth_right": (291, 306),
    "lip_upper": (13,),
    "lip_lower": (14,),
    "chin": (152, 148, 377),
}
"""Indices into the 468-point mesh of MediaPipe."""

POINTS_106: dict[str, tuple[int, ...]] = {
    # LatentSync image_processor.py:61-65; of the iBUG 68: 17-21, 22-26, and 29, 30 with the wings.
    "brow_left": (43, 48, 49, 51, 50),
    "brow_right": (101, 102, 103, 104, 105),
    "nose": (74, 77, 83, 86),
    "eye_left": (35, 39),
    "eye_right": (89, 93),
    "nose_tip": (86,),
    "mouth_left": (52,),
    "mouth_right": (61,),
    "lip_upper": (62,),
    "lip_lower": (60,),
    "chin": (0,),
}
"""Indices into the 106-point layout of insightface's 2d106det."""

FACE_OVAL: tuple[int, ...] = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Indices into the mesh: the outline of the face from the middle of the forehead, clockwise on the
screen."""

MESH_SIZE = 468
SIZE_106 = 106


def from_mesh(points: np.ndarray) -> np.ndarray:
    """points: (468, 2) pixels -> (len(LANDMARKS), 2) float32 pixels. ValueError on another size."""
    return _means(points, MESH_POINTS, MESH_SIZE)


def from_106(points: np.ndarray) -> np.ndarray:
    """points: (106, 2) pixels -> (len(LANDMARKS), 2) float32 pixels. ValueError on another size."""
    return _means(points, POINTS_106, SIZE_106)


def _means(points: np.ndarray, table: dict[str, tuple[int, ...]], size: int) -> np.ndarray:
    if points.shape != (size, 2):
        raise ValueError(f"expected ({size}, 2) landmarks, got {points.shape}")
    exact = points.astype(np.float64)
    return np.stack([exact[list(table[name])].mean(axis=0) for name in LANDMARKS]).astype(
        np.float32
    )
