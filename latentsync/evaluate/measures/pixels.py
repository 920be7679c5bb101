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


class PixelMeasure:
    """Sharpness, flicker, seam and colour of the mouth. A frame without a face is skipped."""

    def __init__(self) -> None:
        self._parts = (SharpnessMeasure(), FlickerMeasure(), SeamMeasure(), ColourMeasure())

    def add(self, pair: FramePair) -> None:
        crops = FaceCrops.of(pair)
        if crops is not None:
            for part in self._parts:
                part.add(crops)

    def results(self) -> list[Measured]:
        """Without those that need a source where there was none."""
        every = chain.from_iterable(part.results() for part in self._parts)
        return [one for one in every if len(one.known().seconds)]
