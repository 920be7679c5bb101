"""What a measure looks at: a frame of the result beside the frame of the source behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from latentsync.evaluate.statistics import Measured


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """The face of the speaker in one frame.

    landmarks: (len(LANDMARKS), 2) float32 frame pixels, see face.landmarks. matrix: (2, 3) float32,
    frame -> aligned crop (420x560). track: number of the track. mesh: (468, 2) float32 frame
    pixels; None: the face model has none.
    """

    landmarks: np.ndarray
    matrix: np.ndarray
    track: int
    mesh: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """One output frame that is measured; the frames come in order, not all of them do.

    index, seconds: of the output frame. result, source: (H, W, 3) uint8 RGB, the SDR view; source
    None: there is none, or it is not known which frame it was. face, source_face: of the speaker;
    None: not seen. follows: whether the pair before this one was the neighbouring frame of the same
    shot and track, so that motion can be measured. mask: (560, 420) float32 [0, 1] in the aligned
    crop, where new pixels may be; its rim is the seam. new_mouth: whether a mouth was generated in
    this frame; True where that is not known.
    """

    index: int
    seconds: float
    result: np.ndarray
    source: np.ndarray | None
    face: SeenFace | None
    source_face: SeenFace | None
    follows: bool
    mask: np.ndarray
    new_mouth: bool = True


class Measure(Protocol):
    """Measures one thing, or a few, frame by frame. It keeps numbers, never frames but the last."""

    def add(self, pair: FramePair) -> None: ...

    def results(self) -> list[Measured]:
        """One for each figure that could be measured."""
        ...


class OfNewMouths:
    """A Measure that sees the frames with a generated mouth only.

    Most frames of a video that is dubbed in part are the source's: they would say that all is well.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._skipped = False

    def add(self, pair: FramePair) -> None:
        if pair.new_mouth:
            self._measure.add(replace(pair, follows=pair.follows and not self._skipped))
        self._skipped = not pair.new_mouth

    def results(self) -> list[Measured]:
        return self._measure.results()
