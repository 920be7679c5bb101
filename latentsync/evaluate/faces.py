"""The mesh of a face whose place is known: no detector runs, and both frames are seen alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from latentsync.evaluate.pair import SeenFace
from latentsync.face.landmarks import FIVE, from_mesh
from latentsync.face.models.mesh import FaceMesh, region_of_face
from latentsync.face.models.regions import Region
from latentsync.types import Alignment
from latentsync.weights.find import find
from latentsync.weights.manifest import FACE_MESH

PRESENCE = 0.5
"""The mesh states how likely there is a face at all; below this it is not seen."""
_NETWORK_SIDE = 192
_MARGIN = 1.2  # of the region: for the wider of the mesh's two looks


class FaceLooks:
    """Looks at faces of frames; one object for one thread at a time. 5 ms a frame.

    folders: see weights.find. Raises CheckpointError.
    """

    def __init__(self, folders: Sequence[str | Path] = ()) -> None:
        self._mesh = FaceMesh(find(FACE_MESH, folders=folders))

    def __call__(self, pixels: np.ndarray, alignment: Alignment) -> SeenFace | None:
        """The face where it was found in the source. None: there is none.

        pixels: (H, W, 3) uint8 RGB, of the size of the frame that the alignment is of. The same
        place gives the same region of the frame, so what differs between two frames is the face.
        """
        region = place_of(alignment)
        part, corner, factor = _part(pixels, region)
        x, y = (np.array([region.x, region.y]) - corner - (factor - 1) / 2) / factor
        size = region.width / factor, region.height / factor
        near = Region(float(x), float(y), size[0], size[1], region.angle)
        look = self._mesh(part, near)
        if look.presence < PRESENCE:
            return None
        points = self._mesh.steady(part, look) * factor + (factor - 1) / 2 + corner
        return SeenFace(
            from_mesh(points), alignment.matrix, alignment.track, points.astype(np.float32)
        )


def place_of(alignment: Alignment) -> Region:
    """The square in which the mesh looks for a face that was found there."""
    points = alignment.landmarks if alignment.outline is None else alignment.outline
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return region_of_face(box, alignment.landmarks[FIVE][:2])


def _part(pixels: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray, int]:
    """The part of a frame around a region, downscaled by a whole number where the region is much
    larger than what the mesh sees -> it, its first corner (x, y) in the frame, the number."""
    limit = np.array(pixels.shape[1::-1])
    half = _MARGIN * max(region.width, region.height) / np.sqrt(2) + 2
    center = np.array([region.x, region.y])
    low = np.clip(np.floor(center - half), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(center + half), low + 1, limit).astype(int)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    factor = int(max(1, region.width // (3 * _NETWORK_SIDE)))
    if factor > 1:
        width, height = (max(1, side // factor) for side in (high - low).tolist())
        part = cv2.resize(
            part[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA
        )
    return np.ascontiguousarray(part), low, factor
