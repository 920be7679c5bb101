"""The restorer for each track: as loaded, tuned to the measured sharpness, or fitted to the
speaker's training mouths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, cast

import numpy as np
import torch

from latentsync.generate.base import LipGenerator, Reconstructing
from latentsync.geometry import extract
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.own_mouth import frames_of_person
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Source
from latentsync.pipeline.squares import Squares
from latentsync.pipeline.stages.restore import mouth_of
from latentsync.restoration.base import Fittable, Restorer, Tunable
from latentsync.restoration.detail import Detail
from latentsync.restoration.patch import PatchGeometry
from latentsync.restoration.strength import SAMPLES, MatchedStrengths
from latentsync.tone import extract_levels
from latentsync.types import Alignment, Frame, PatchedFrame

logger = logging.getLogger(__name__)

TRAINING_FRAMES = 36  # training mouths, spread over the track
PAIRS = 16  # training mouths at most where each passes a VAE: a minute or more on a CPU
TO_RESTORE, AMONG_FIRST = 12, 24  # samples of the mouths to restore, among a track's first ones


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """The video that training mouths are taken from. itself: it is the one that is rendered."""

    source: Source
    analysis: SourceAnalysis
    itself: bool


@dataclass(slots=True, eq=False)
class Restorers:
    """Track -> its restorer. fit_results: track -> the result of fitting, for the report.

    matched: strengths of the tracks where restore.strength is auto; None: full strength, or the
    configured one.
    """

    loaded: Restorer
    matched: MatchedStrengths | None = None
    ready: dict[int, Restorer] = field(default_factory=dict)
    fit_results: dict[int, dict[str, Any]] = field(default_factory=dict)

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
        """Tunes or fits the restorer for each of these tracks, once.

        original, to_restore: called where the restorer is fitted, see fit(); the latter also where
        strengths are matched. generator: of the mouths; None without new speech.
        """
        new = [track for track in tracks if track not in self.ready]
        if not new:
            return
        fits = isinstance(self.loaded, Fittable)
        samples = to_restore(new) if fits or self.matched is not None else {}
        if self.matched is not None:
            self.matched.samples.update(
                {
                    n: [some[i] for i in spread(np.arange(len(some)), SAMPLES)]
                    for n, some in samples.items()
                }
            )
        if fits:
            self.fit(new, plan, original(), samples, generator)
        else:
            self.tune(new, plan)

    def tune(self, tracks: Iterable[int], plan: RenderPlan) -> None:
        """Tunes the restorer for each of the tracks, where it can be tuned."""
        for number in tracks:
            loaded, track = self.loaded, plan.tracks[number]
            if isinstance(loaded, Tunable):
                loaded = loaded.tuned(track.energies, track.blur)
            self.ready[number] = loaded

    def fit(
        self,
        tracks: Collection[int],
        plan: RenderPlan,
        original: Original,
        to_restore: Mapping[int, Sequence[torch.Tensor]],
        generator: LipGenerator | None,
    ) -> None:
        """Fits the restorer to each of the tracks. to_restore: track -> some of its mouths."""
        personal_fit = _PersonalFit(plan, original, generator)
        training = personal_fit.training_mouths(tracks)
        for track in tracks:
            restorer = personal_fit.fitted(
                cast(Fittable, self.loaded), track, training[track], to_restore
            )
            self.ready[track] = cast(Restorer, restorer)
            fit_result = restorer.fit_result
            known = is_dataclass(fit_result) and not isinstance(fit_result, type)
            self.fit_results[track] = asdict(fit_result) if known else {}  # type: ignore[call-overload]
            level = logging.WARNING if self.fit_results[track].get("poor_fit") else logging.INFO
            reason = self.fit_results[track].get("reason", "fitted")
            logger.log(level, "track %d: %s", track, reason)


def mouths_to_restore(
    tracks: Collection[int], plan: RenderPlan, source: Source
) -> dict[int, list[torch.Tensor]]:
    """Track -> some mouths of the video, as the restorer's input."""

    def chosen(track: int) -> np.ndarray:
        frames = np.flatnonzero((plan.track == track) & (plan.strength > 0))
        return spread(frames[:AMONG_FIRST], TO_RESTORE)

    def mouth(track: int, index: int, frame: Frame) -> torch.Tensor:
        geometry = plan.tracks[track].geometry
        return mouth_of(PatchedFrame(index, frame), geometry, plan.matrices[index])

    return _gathered({track: chosen(track) for track in tracks}, plan.source, source, mouth)


def spread(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of the numbers, evenly spread."""
    if not len(numbers):
        return numbers
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, most).round().astype(int))]


@dataclass(frozen=True, slots=True, eq=False)
class _TrainingMouth:
    """number: of the original's frame. pixels: (3, h, w), as recorded. reconstructed: the same
    mouth encoded and decoded by the generator's VAE; None where the generator has none."""

    number: int
    pixels: torch.Tensor
    reconstructed: torch.Tensor | None


class _PersonalFit:
    """Collects the training mouths of each track and fits the restorer to them."""

    def __init__(
        self, plan: RenderPlan, original: Original, generator: LipGenerator | None
    ) -> None:
        self._plan, self._original = plan, original
        self._generator = generator
        if generator is not None:
            self._squares = Squares.of(generator, original.analysis)

    def training_mouths(self, tracks: Collection[int]) -> dict[int, list[_TrainingMouth]]:
        most = PAIRS if isinstance(self._generator, Reconstructing) else TRAINING_FRAMES
        wanted = {track: spread(self._candidates(track), most) for track in tracks}
        everything = np.arange(len(self._original.analysis))
        return _gathered(wanted, everything, self._original.source, self._training_mouth)

    def fitted(
        self,
        restorer: Fittable,
        track: int,
        training: Sequence[_TrainingMouth],
        to_restore: Mapping[int, Sequence[torch.Tensor]],
    ) -> Fittable:
        planned = self._plan.tracks[track]
        seconds = self._original.analysis.pts_seconds[[mouth.number for mouth in training]]
        pixels = [mouth.pixels for mouth in training]
        reconstructed = [
            mouth.reconstructed for mouth in training if mouth.reconstructed is not None
        ]
        about: dict[str, Any] = {
            "seconds": seconds,
            "mask": planned.geometry.mask,
            "fallback": Detail().tuned(planned.energies, planned.blur),
        }
        if reconstructed:
            return restorer.fit_pairs(reconstructed, pixels, **about)
        return restorer.fit(pixels, list(to_restore.get(track, ())), **about)

    def _candidates(self, track: int) -> np.ndarray:
        """Frames of the original that show the person of the track."""
        original = self._original
        return frames_of_person(
            track, self._plan.analysis, original.analysis, itself=original.itself
        )

    def _training_mouth(self, track: int, number: int, frame: Frame) -> _TrainingMouth:
        geometry = self._plan.tracks[track].geometry
        face = self._original.analysis.alignments[number]
        assert face is not None
        pixels = extract_levels(frame, geometry.matrix(face.matrix), geometry.size)
        generator = self._generator
        reconstructed = (
            _reconstructed(frame, face, self._squares, geometry, generator)
            if isinstance(generator, Reconstructing)
            else None
        )
        return _TrainingMouth(number, pixels, reconstructed)


def _reconstructed(
    frame: Frame, face: Alignment, squares: Squares, geometry: PatchGeometry, generator: Any
) -> torch.Tensor:
    """The mouth at the generator's size, encoded and decoded by its VAE, back in the patch.

    face: of the frame. squares: of the generator, which is Reconstructing.
    """
    size, to_square = generator.size, squares.matrix(face.matrix, face.track)
    reconstructed = generator.reconstruct(extract_levels(frame, to_square, (size, size))[None])[0]
    levels = ((reconstructed.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    pixels = np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
    back = np.linalg.inv(np.vstack([to_square, [0, 0, 1]]))
    return extract(pixels, geometry.matrix(face.matrix) @ back, geometry.size)


def _gathered(
    wanted: Mapping[int, np.ndarray],
    numbers: np.ndarray,
    source: Source,
    make: Callable[[int, int, Frame], Any],
) -> dict[int, list[Any]]:
    """Track -> the result of make() for each wanted frame; the video is read once, forward.

    wanted: track -> indices into numbers, which holds frames of the source.
    """
    order = sorted((int(numbers[i]), track, int(i)) for track, some in wanted.items() for i in some)
    made: dict[int, list[Any]] = {track: [] for track in wanted}
    frames = source.shown(np.array([number for number, _, _ in order], np.int64))
    for (_, track, index), frame in zip(order, frames, strict=True):
        made[track].append(make(track, index, frame))
    return made
