"""What is to be done to which frame: pure arithmetic on what pass 1 kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from latentsync.face.landmarks import FIVE
from latentsync.pipeline.survey import Survey
from latentsync.pipeline.timeline import Timeline, chunks
from latentsync.restore import gate
from latentsync.restore.mouth import (
    PatchGeometry,
    ffhq_geometry,
    generator_scale,
    own_scale_geometry,
)
from latentsync.restore.sharpness import sharpness
from latentsync.schema import RestoreConfig
from latentsync.types import Alignment


@dataclass(frozen=True, slots=True, eq=False)
class PlannedTrack:
    """One person between two cuts.

    frames: (K,) int, indices into the film, increasing.
    geometry: from the aligned crop to the patch that the restorer works on; constant in the track.
    energies: (K, 2, BANDS) float32 band energies without gaps.
    """

    frames: np.ndarray
    geometry: PatchGeometry
    energies: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class FilmPlan:
    """The decisions for a film of F frames, and for its N output frames.

    timeline: the output frames where new speech lays the film out anew; None: the film as it is.
    chunks: (N,) int, number of the chunk in which each is generated, -1: in none.
    scale: (F,) frame pixels per generator pixel; NaN without a face.
    sharpness: (F,) 1 = the mouth is as sharp as the rest of the face; NaN without a face.
    weights: (F,) float32 in [0, 1], share of the restoration that is applied; 0 = frame untouched.
    tracks: by track number.
    """

    survey: Survey
    scale: np.ndarray
    sharpness: np.ndarray
    weights: np.ndarray
    tracks: Mapping[int, PlannedTrack]
    timeline: Timeline | None = None
    chunks: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        """Number of output frames."""
        return len(self.survey) if self.timeline is None else len(self.timeline)

    def source(self, index: int) -> int:
        """The frame of the film that output frame ``index`` shows."""
        return index if self.timeline is None else int(self.timeline.source[index])

    def alignment(self, index: int) -> Alignment | None:
        """Where the face of output frame ``index`` lies."""
        return self.survey.alignments[self.source(index)]


def plan_film(
    survey: Survey, config: RestoreConfig, *, size: int | None, region_mask: np.ndarray
) -> FilmPlan:
    """size: the restorer's square, None for the mouth box. region_mask: (560, 420), aligned."""
    count = len(survey)
    scale = np.full(count, np.nan, np.float32)
    sharp = np.full(count, np.nan, np.float32)
    weights = np.zeros(count, np.float32)
    tracks: dict[int, PlannedTrack] = {}
    for number, frames in _frames_by_track(survey).items():
        track, matrices = _plan_track(survey, frames, size, region_mask)
        tracks[number] = track
        scale[frames] = generator_scale(matrices, config.generator_size)
        sharp[frames] = sharpness(track.energies)
        needed = gate.need(
            scale[frames],
            sharp[frames],
            seconds=survey.pts_seconds[frames],
            when=config.when,
            min_scale=config.min_scale,
            sharpness_on=config.sharpness_on,
            sharpness_off=config.sharpness_off,
        )
        weights[frames] = gate.weights(
            needed,
            seconds=survey.pts_seconds[frames],
            fade_seconds=config.fade_seconds,
            fade_start=_borders_gap(survey, int(frames[0]), -1),
            fade_end=_borders_gap(survey, int(frames[-1]), +1),
        )
    return FilmPlan(survey, scale, sharp, weights, tracks)


def lay_out(plan: FilmPlan, timeline: Timeline, *, chunk_frames: int) -> FilmPlan:
    """The plan for a film whose frames are shown, and generated in chunks, along the timeline."""
    numbers = chunks(timeline, plan.survey.tracks, size=chunk_frames)
    return replace(plan, timeline=timeline, chunks=numbers)


def pieces(plan: FilmPlan, count: int) -> list[tuple[int, int]]:
    """At most ``count`` half-open ranges of output frames, about equal, none of which cuts a chunk.

    Each can be rendered for itself; generated mouths and planned restoration are the whole's.
    """
    frames = len(plan)
    inside = np.zeros(frames + 1, bool)  # cuts that would fall between two frames of one chunk
    if len(plan.chunks):
        inside[1:frames] = (np.diff(plan.chunks) == 0) & (plan.chunks[1:] >= 0)
    allowed = np.flatnonzero(~inside)
    wanted = np.linspace(0, frames, count + 1)
    cuts = np.unique(allowed[np.abs(allowed[:, None] - wanted).argmin(axis=0)])
    return [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]


def _plan_track(
    survey: Survey, frames: np.ndarray, size: int | None, region_mask: np.ndarray
) -> tuple[PlannedTrack, np.ndarray]:
    alignments = [a for a in (survey.alignments[i] for i in frames) if a is not None]
    matrices = np.stack([a.matrix for a in alignments])
    if size is None:
        geometry = own_scale_geometry(matrices, region_mask)
    else:
        points = np.stack([a.landmarks[FIVE] for a in alignments])
        geometry = ffhq_geometry(matrices, points, region_mask, size=size)
    return PlannedTrack(frames, geometry, fill_gaps(survey.energies[frames])), matrices


def _frames_by_track(survey: Survey) -> dict[int, np.ndarray]:
    frames: dict[int, list[int]] = {}
    for index, alignment in enumerate(survey.alignments):
        if alignment is not None:
            frames.setdefault(alignment.track, []).append(index)
    return {number: np.array(indices) for number, indices in frames.items()}


def _borders_gap(survey: Survey, index: int, step: int) -> bool:
    """Whether the frame next to a track's end shows the same shot without a face."""
    neighbour = index + step
    if not 0 <= neighbour < len(survey):
        return False
    starts_shot = survey.cuts[index] if step < 0 else survey.cuts[neighbour]
    return not starts_shot


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """(K, ...) float -> the same, each row with NaN replaced by the nearest row without.

    Where no row is without NaN, they come back as they are.
    """
    good = np.flatnonzero(~np.isnan(values).reshape(len(values), -1).any(axis=1))
    if not len(good):
        return values
    index = np.arange(len(values))
    after = np.searchsorted(good, index).clip(max=len(good) - 1)
    before = (after - 1).clip(min=0)
    is_before = np.abs(good[before] - index) <= np.abs(good[after] - index)
    return values[np.where(is_before, good[before], good[after])]
