"""Where a generator's square lies in a frame: all of the aligned crop, or a box of it by track."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from latentsync.generate.base import Boxed, LipGenerator
from latentsync.geometry import ALIGNED_SIZE, box_to_square, square
from latentsync.pipeline.analysis import SourceAnalysis

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in aligned pixels from the crop's corner; it may reach beyond."""


NO_TRACK = -1
"""Has no box."""


class Squares:
    """The squares of one speaker. size: R. boxes: by track; without one it is the whole crop."""

    def __init__(self, size: int, boxes: Mapping[int, Box] | None = None) -> None:
        self.size, self.boxes = size, dict(boxes or {})

    @classmethod
    def of(cls, generator: LipGenerator, analysis: SourceAnalysis) -> Squares:
        """By all frames of each track, so that any part of the video has the same ones."""
        if not isinstance(generator, Boxed):
            return cls(generator.size)
        faces = {
            track: [one for i in frames if (one := analysis.alignments[i]) is not None]
            for track, frames in analysis.frames_by_track().items()
        }
        return cls(generator.size, {track: generator.box(some) for track, some in faces.items()})

    def of_aligned(self, track: int, size: int | None = None) -> np.ndarray:
        """(2, 3): pixels of the aligned crop -> of the square, or of one of another size."""
        size, box = size or self.size, self.boxes.get(track)
        return square(size) if box is None else box_to_square(box, size)

    def matrix(self, aligned: np.ndarray, track: int, size: int | None = None) -> np.ndarray:
        """(2, 3): frame -> square. aligned: (2, 3), frame -> aligned crop."""
        return self.of_aligned(track, size) @ np.vstack([aligned, [0, 0, 1]])

    def resolution(self, tracks: np.ndarray) -> np.ndarray:
        """(N,) float: the side of a square of the whole crop with pixels of the same size."""
        shares = np.ones(len(tracks))
        for track, (left, top, right, bottom) in self.boxes.items():
            area = (right - left) * (bottom - top) / math.prod(ALIGNED_SIZE)
            shares[tracks == track] = math.sqrt(area)
        return self.size / shares
