"""The face of a frame pair, cut out of both frames: what the measures of pixels look at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.evaluate.pair import FramePair
from latentsync.geometry import ALIGNED_SIZE, frame_scale, part_of

_LARGE = 1.25
"""Frame pixels per pixel of the aligned crop above which a face is averaged down."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrops:
    """One face in result and source, the same part of both frames.

    Pixels are the frame's own, neither turned nor resampled; those of a large face are averaged
    down to the size of the aligned crop, so that no face takes long.

    pair: where they come from. result, source: (h, w, 3) uint8 RGB; source None: there is none, or
    its frames have another size. matrix: (2, 3) float64, crop -> aligned crop.
    """

    pair: FramePair
    result: np.ndarray
    source: np.ndarray | None
    matrix: np.ndarray

    @classmethod
    def of(cls, pair: FramePair) -> FaceCrops | None:
        """None: there is no face."""
        source = pair.source
        if source is not None and source.shape != pair.result.shape:
            source = None
        # New pixels were laid where the source's face is.
        face = (pair.source_face if source is not None else None) or pair.face
        if face is None:
            return None
        part, matrix = part_of(pair.result, face.matrix, ALIGNED_SIZE)
        size, matrix = _size(part, matrix)
        before = None if source is None else part_of(source, face.matrix, ALIGNED_SIZE)[0]
        return cls(
            pair, _shrunk(part, size), None if before is None else _shrunk(before, size), matrix
        )

    def laid(self, plane: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
        """(h, w): a plane of the aligned crop (560, 420) as it lies here; 0 beyond it."""
        flags = how | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(plane, self.matrix, self.result.shape[1::-1], flags=flags)

    @property
    def scale(self) -> float:
        """Pixels of this crop per pixel of the aligned crop; at most _LARGE."""
        return float(frame_scale(self.matrix))


def _size(part: np.ndarray, matrix: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
    """The width and height at which a part of a frame is measured, and its matrix there."""
    height, width = part.shape[:2]
    factor = float(frame_scale(matrix))
    if factor <= _LARGE:
        return (width, height), matrix
    size = max(1, round(width / factor)), max(1, round(height / factor))
    share = np.array([width / size[0], height / size[1]])
    shrunk = matrix.copy()
    shrunk[:, :2] *= share
    shrunk[:, 2] += matrix[:, :2] @ (share / 2 - 0.5)  # pixel centres are whole numbers
    return size, shrunk


def _shrunk(part: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if part.shape[1::-1] == size:
        return part
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
