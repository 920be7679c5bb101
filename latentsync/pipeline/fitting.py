"""A restorer made ready for each track: as loaded, tuned to what was measured, or fitted to the
person's own mouths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, cast

import numpy as np
import torch

from latentsync.generate.base import LipGenerator, Redrawing
from latentsync.geometry import extract, square
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.own_mouth import frames_of_person
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Source
from latentsync.pipeline.stages.restore import mouth_of
from latentsync.restoration.base import Fittable, Restorer, Tunable
from latentsync.restoration.detail import Detail
from latentsync.restoration.patch import PatchGeometry
from latentsync.types import Frame, PatchedFrame

logger = logging.getLogger(__name__)

OWN_FRAMES = 36  # of the person's own mouths, spread over the track, are learnt from
PAIRS = 16  # of them at most go through a VAE: a minute or more on a CPU
TO_RESTORE, AMONG_FIRST = 12, 24  # mouths that show what was lost, of a track's first ones


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """The video that shows the person's own mouths. itself: it is the one that is rendered."""

    source: Source
    analysis: SourceAnalysis
    itself: bool


@dataclass(slots=True, eq=False)
class Restorers:
    """By track, the restorer that is ready for it. verdicts: what one that learns said of it."""

    loaded: Restorer
    ready: dict[int, Restorer] = field(default_factory=dict)
    verdicts: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, track: int) -> Restorer:
        return self.ready[track]

    def make_ready(
        self,
        tracks: Iterable[int],
        plan: RenderPlan,
        *,
        original: Callable[[], Original],
        to_restore: Callable[[Sequence[int]], Mapping[int, Sequence[torch.Tensor]]],
        generator: LipGenerator | None,
    ) -> None:
        """For these tracks, each once.

        original, to_restore: asked where there is something to learn; see fit(). generator: the one
        that draws the mouths, if any does.
        """
        new = [track for track in tracks if track not in self.ready]
        if not new:
            return
        if isinstance(self.loaded, Fittable):
            self.fit(new, plan, original(), to_restore(new), generator)
        else:
            self.tune(plan)

    def tune(self, plan: RenderPlan) -> None:
        """Makes ready one that has nothing to learn."""
        for number, track in plan.tracks.items():
            loaded = self.loaded
            tuned = loaded.tuned(track.energies) if isinstance(loaded, Tunable) else loaded
            self.ready[number] = tuned

    def fit(
        self,
        tracks: Collection[int],
        plan: RenderPlan,
        original: Original,
        to_restore: Mapping[int, Sequence[torch.Tensor]],
        generator: LipGenerator | None,
    ) -> None:
        """Fits one that learns, to each of the tracks. to_restore: by track, some of its mouths."""
        personal_fit = _PersonalFit(plan, original, generator)
        own = personal_fit.own_mouths(tracks)
        for track in tracks:
            restorer = personal_fit.fitted(
                cast(Fittable, self.loaded), track, own[track], to_restore
            )
            self.ready[track] = cast(Restorer, restorer)
            verdict = restorer.verdict
            known = is_dataclass(verdict) and not isinstance(verdict, type)
            self.verdicts[track] = asdict(verdict) if known else {}  # type: ignore[call-overload]
            logger.info("track %d: %s", track, self.verdicts[track].get("reason", "fitted"))


def mouths_to_restore(
    tracks: Collection[int], plan: RenderPlan, source: Source
) -> dict[int, list[torch.Tensor]]:
    """By track, some mouths that are in the video, as a restorer is given them."""

    def chosen(track: int) -> np.ndarray:
        frames = np.flatnonzero((plan.track == track) & (plan.strength > 0))
        return spread(frames[:AMONG_FIRST], TO_RESTORE)

    def mouth(track: int, index: int, frame: Frame) -> torch.Tensor:
        geometry = plan.tracks[track].geometry
        return mouth_of(PatchedFrame(index, frame), geometry, plan.matrices[index])

    return _gathered({track: chosen(track) for track in tracks}, plan.source, source, mouth)


def spread(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, evenly spread."""
    if not len(numbers):
        return numbers
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, most).round().astype(int))]


@dataclass(frozen=True, slots=True, eq=False)
class _OwnMouth:
    """number: of the original's frame. pixels: (3, h, w), as filmed. redrawn: the same mouth as the
    generator's VAE gives it back; None where there is no such generator."""

    number: int
    pixels: torch.Tensor
    redrawn: torch.Tensor | None


class _PersonalFit:
    """The person's own mouths of each track, and what the generator makes of them."""

    def __init__(
        self, plan: RenderPlan, original: Original, generator: LipGenerator | None
    ) -> None:
        self._plan, self._original = plan, original
        self._generator = generator

    def own_mouths(self, tracks: Collection[int]) -> dict[int, list[_OwnMouth]]:
        most = PAIRS if isinstance(self._generator, Redrawing) else OWN_FRAMES
        wanted = {track: spread(self._candidates(track), most) for track in tracks}
        everything = np.arange(len(self._original.analysis))
        return _gathered(wanted, everything, self._original.source, self._own_mouth)

    def fitted(
        self,
        restorer: Fittable,
        track: int,
        own: Sequence[_OwnMouth],
        to_restore: Mapping[int, Sequence[torch.Tensor]],
    ) -> Fittable:
        planned = self._plan.tracks[track]
        seconds = self._original.analysis.pts_seconds[[mouth.number for mouth in own]]
        pixels = [mouth.pixels for mouth in own]
        redrawn = [mouth.redrawn for mouth in own if mouth.redrawn is not None]
        about: dict[str, Any] = {
            "seconds": seconds,
            "mask": planned.geometry.mask,
            "fallback": Detail().tuned(planned.energies),
        }
        if redrawn:
            return restorer.fit_pairs(redrawn, pixels, **about)
        return restorer.fit(pixels, list(to_restore.get(track, ())), **about)

    def _candidates(self, track: int) -> np.ndarray:
        """Frames of the original that show the person of the track."""
        original = self._original
        return frames_of_person(
            track, self._plan.analysis, original.analysis, itself=original.itself
        )

    def _own_mouth(self, track: int, number: int, frame: Frame) -> _OwnMouth:
        geometry = self._plan.tracks[track].geometry
        aligned = self._original.analysis.matrices[number]
        pixels = extract(frame.pixels, geometry.matrix(aligned), geometry.size)
        generator = self._generator
        redrawn = (
            _redrawn(frame, aligned, geometry, generator)
            if isinstance(generator, Redrawing)
            else None
        )
        return _OwnMouth(number, pixels, redrawn)


def _redrawn(
    frame: Frame, aligned: np.ndarray, geometry: PatchGeometry, generator: Any
) -> torch.Tensor:
    """The mouth as it comes out of the generator's square, its VAE in between.

    generator: one that is Redrawing.
    """
    size = generator.size
    to_square = square(size) @ np.vstack([aligned, [0, 0, 1]])
    redrawn = generator.redrawn(extract(frame.pixels, to_square, (size, size))[None])[0]
    levels = ((redrawn.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    pixels = np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
    back = np.linalg.inv(np.vstack([to_square, [0, 0, 1]]))
    return extract(pixels, geometry.matrix(aligned) @ back, geometry.size)


def _gathered(
    wanted: Mapping[int, np.ndarray],
    numbers: np.ndarray,
    source: Source,
    make: Callable[[int, int, Frame], Any],
) -> dict[int, list[Any]]:
    """By track, what is made of each wanted frame; the video is read once, forward.

    wanted: by track, indices into numbers, which holds frames of the source.
    """
    order = sorted((int(numbers[i]), track, int(i)) for track, own in wanted.items() for i in own)
    made: dict[int, list[Any]] = {track: [] for track in wanted}
    frames = source.shown(np.array([number for number, _, _ in order], np.int64))
    for (_, track, index), frame in zip(order, frames, strict=True):
        made[track].append(make(track, index, frame))
    return made
