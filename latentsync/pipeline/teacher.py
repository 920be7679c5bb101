"""The person's own mouths, for a restorer that learns from them."""

from __future__ import annotations

import logging
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from latentsync.generate.base import LipGenerator, Redrawing
from latentsync.media.ordered import OrderedReader
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.stages.generate import square
from latentsync.restore.base import Fittable, Restorer
from latentsync.restore.mouth import PatchGeometry, extract
from latentsync.types import Alignment, Frame

logger = logging.getLogger(__name__)

OWN_FRAMES = 36  # of the person's own mouths, spread over the track, are learnt from
PAIRS = 16  # of them at most go through a picture coder: a minute or more on a CPU


class Teacher:
    """Teaches a restorer each track of a plan, from the original film.

    path, survey: of the original. is_itself: it is the film of the plan. generator: who draws the
    mouths, if anybody does; one that is Redrawing shows its own loss. verdicts: by track, what the
    restorer said of what it learnt.
    """

    def __init__(
        self,
        plan: FilmPlan,
        path: Path,
        survey: SourceAnalysis,
        *,
        is_itself: bool,
        generator: LipGenerator | None,
    ) -> None:
        self._plan, self._path, self._survey = plan, path, survey
        self._is_itself, self._generator = is_itself, generator
        self.verdicts: dict[int, dict[str, Any]] = {}

    def teach(
        self, restorer: Fittable, track: int, generated: torch.Tensor, stand_in: Restorer
    ) -> Restorer:
        """generated: (N, 3, h, w), mouths of the track to restore -> the restorer that can."""
        planned = self._plan.tracks[track]
        geometry = planned.geometry
        redraws = isinstance(self._generator, Redrawing)
        chosen = _spread(self._candidates(planned.frames), PAIRS if redraws else OWN_FRAMES)
        frames = list(zip(chosen, OrderedReader(self._path, chosen), strict=True))
        own = [self._mouth(frame, number, geometry) for number, frame in frames]
        seconds = self._survey.pts_seconds[chosen]
        about = {"seconds": seconds, "mask": geometry.mask, "fallback": stand_in}
        if redraws:
            lost = [self._redrawn(frame, number, geometry) for number, frame in frames]
            fitted = restorer.fit_pairs(lost, own, **about)
        else:
            fitted = restorer.fit(own, list(generated), **about)
        verdict = fitted.verdict
        said = asdict(verdict) if is_dataclass(verdict) and not isinstance(verdict, type) else {}
        self.verdicts[track] = said
        logger.info("track %d: %s", track, said.get("reason", "learnt"))
        return cast(Restorer, fitted)

    def _candidates(self, frames: np.ndarray) -> np.ndarray:
        """Frames of the original that show the person of the track."""
        if self._is_itself:
            return frames
        tracks, times = self._survey.tracks, self._survey.pts_seconds
        begin, end = self._plan.survey.pts_seconds[frames[[0, -1]]]
        then = (times >= begin - 1e-6) & (times <= end + 1e-6) & (tracks >= 0)
        # Whoever is seen at the same time, as long as the shot lasts; else all there is.
        seen = np.isin(tracks, tracks[then]) if then.any() else tracks >= 0
        return np.flatnonzero(seen)

    def _alignment(self, number: int) -> Alignment:
        alignment = self._survey.alignments[number]
        assert alignment is not None, "only frames with a face are learnt from"
        return alignment

    def _mouth(self, frame: Frame, number: int, geometry: PatchGeometry) -> torch.Tensor:
        matrix = geometry.matrix(self._alignment(number).matrix)
        return extract(frame.pixels, matrix, geometry.size)

    def _redrawn(self, frame: Frame, number: int, geometry: PatchGeometry) -> torch.Tensor:
        """The mouth as it comes out of the generator's square, its picture coder in between."""
        generator = cast(Redrawing, self._generator)
        size = cast(LipGenerator, self._generator).size
        aligned = self._alignment(number).matrix
        to_square = square(size) @ np.vstack([aligned, [0, 0, 1]])
        redrawn = generator.redrawn(extract(frame.pixels, to_square, (size, size))[None])[0]
        levels = ((redrawn.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        pixels = np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
        back = np.linalg.inv(np.vstack([to_square, [0, 0, 1]]))
        return extract(pixels, geometry.matrix(aligned) @ back, geometry.size)


def _spread(numbers: np.ndarray, most: int) -> np.ndarray:
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, most).round().astype(int))]
