"""All measures of pixels: the face is cut out once for all of them."""

from __future__ import annotations

from itertools import chain

from latentsync.evaluate.crops import FaceCrops
from latentsync.evaluate.measures.colour import ColourMeasure
from latentsync.evaluate.measures.flicker import FlickerMeasure
from latentsync.evaluate.measures.seam import SeamMeasure
from latentsync.evaluate.measures.sharpness import SharpnessMeasure
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.statistics import Measured
from latentsync.frame_times import PTS_ROUNDING
from latentsync.pipeline.observation import EDGES_EVERY


class PixelMeasure:
    """Sharpness, flicker, seam and colour of the mouth. A frame without a face is skipped.

    Only flicker needs neighbouring frames; the rest is measured every EDGES_EVERY seconds, as it
    changes with the mouth and the head rather than with the frame.
    """

    def __init__(self) -> None:
        self._flicker = FlickerMeasure()
        self._slow = (SharpnessMeasure(), SeamMeasure(), ColourMeasure())
        self._due = float("-inf")

    def add(self, pair: FramePair) -> None:
        crops = FaceCrops.of(pair)
        if crops is None:
            return
        self._flicker.add(crops)
        if pair.seconds >= self._due - PTS_ROUNDING:
            self._due = pair.seconds + EDGES_EVERY
            for part in self._slow:
                part.add(crops)

    def results(self) -> list[Measured]:
        """Without those that need a source where there was none."""
        every = chain.from_iterable(part.results() for part in (self._flicker, *self._slow))
        return [one for one in every if len(one.known().seconds)]
