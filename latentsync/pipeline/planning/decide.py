"""Decides the strength for each output frame: from mouths in the video, or generated samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentsync.geometry import frame_scale
from latentsync.pipeline.planning.plan import RenderPlan, with_blur, with_energies
from latentsync.restoration import gate
from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.mouth_blur import (
    EdgeVariances,
    TrackBlur,
    aligned_variances,
    blur_probability,
    measured_area,
    own_excess,
    own_probability,
)
from latentsync.restoration.sharpness import sharpness
from latentsync.settings.schema import RestoreConfig

SAMPLE_EVERY = 10.0
"""Seconds of one run for which another chunk is generated beforehand and measured."""
FEW_CHUNKS = 4
"""A shorter run is decided by one of its chunks."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredChunk:
    """The generated mouths of one chunk, K of them measured.

    number: of the chunk. track: of its face. energies: (K, 2, BANDS) float32, [generated mouth, the
    rest of the same face]. ratio: median sharpness of the generated mouths relative to the
    original ones; nan where none could be measured. edges, own_edges: (K, len(FIGURES)) float32,
    with the generated mouth, and of the same frames of the original; see restoration.edge_blur.
    matrices: (K, 2, 3), frame -> aligned crop.
    """

    number: int
    track: int
    energies: np.ndarray
    ratio: float
    edges: np.ndarray
    own_edges: np.ndarray
    matrices: np.ndarray

    def excess_over(self, own: EdgeVariances | None) -> float:
        """Variance by which the edges of the generated lips are blurrier than the own mouth's, in
        the median [measured pixels squared]; nan: not measured. None: the same frames' lips."""
        lips = FIGURES.index("lips")
        if own is None:
            excess = self.edges[:, lips] - self.own_edges[:, lips]
        else:
            eyes = EdgeVariances.of(self.own_edges, self.matrices).eyes
            variances = aligned_variances(self.edges, self.matrices)[:, 0]
            excess = own_excess(variances, eyes, own) * measured_area(self.matrices)
        known = excess[~np.isnan(excess)]
        return float(np.median(known)) if len(known) else np.nan


def decided_by_analysis(
    plan: RenderPlan, config: RestoreConfig, own: Mapping[int, EdgeVariances]
) -> RenderPlan:
    """The plan for mouths in the video, all of which the analysis has measured.

    own: by track, the person's own mouth in another video; a track without one, or with one that
    could not be measured, is judged by its face.
    """
    analysis, own = plan.analysis, {n: one for n, one in own.items() if one.known}
    figures, blur = (np.full(len(analysis), np.nan, np.float32) for _ in range(2))
    for number, frames in analysis.frames_by_track().items():
        figures[frames] = sharpness(fill_gaps(analysis.energies[frames]))
        edges, matrices = analysis.edges[frames], analysis.matrices[frames]
        averaged = _averaged(edges, analysis.pts_seconds[frames])
        blur[frames] = _probabilities(averaged, matrices, own.get(number))
    plan = _gated(replace(plan, sharpness=figures[plan.source], blur=blur[plan.source]), config)
    return _measured_tracks(plan, config, own)


def _measured_tracks(
    plan: RenderPlan, config: RestoreConfig, own: Mapping[int, EdgeVariances]
) -> RenderPlan:
    """The plan with the energies and the blur of those mouths of each track that are restored; of
    all, where none is."""
    analysis, energies, blurs = plan.analysis, {}, {}
    restored = np.zeros(len(analysis), bool)
    restored[plan.source[plan.strength > 0]] = True
    for number, frames in analysis.frames_by_track().items():
        chosen = frames[restored[frames]] if restored[frames].any() else frames
        energies[number] = fill_gaps(analysis.energies[chosen])
        edges, matrices = analysis.edges[chosen], analysis.matrices[chosen]
        seen = EdgeVariances.of(edges, matrices)
        blurs[number] = TrackBlur.of(seen, matrices, own.get(number), doubt=_doubt(config))
    return with_blur(with_energies(plan, energies), blurs)


def _doubt(config: RestoreConfig) -> tuple[float, float]:
    return config.blur_off, config.blur_on


def _averaged(edges: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(F, len(FIGURES)), of the frames of one track -> the same, steady in time."""
    columns = [gate.running_median(one, seconds, gate.EVIDENCE_REACH) for one in edges.T]
    return np.stack(columns, axis=1)


def _probabilities(
    edges: np.ndarray, matrices: np.ndarray, own: EdgeVariances | None
) -> np.ndarray:
    """(F,): of the frames of one track. edges: (F, len(FIGURES)), matrices: (F, 2, 3)."""
    if own is None:
        return blur_probability(edges, matrices)
    lips, eyes = aligned_variances(edges, matrices)[:, 0], EdgeVariances.of(edges, matrices).eyes
    excess = own_excess(lips, eyes, own) * measured_area(matrices)
    return own_probability(excess, frame_scale(matrices))


def decided_by_samples(
    plan: RenderPlan,
    config: RestoreConfig,
    samples: Sequence[MeasuredChunk],
    own: Mapping[int, EdgeVariances],
) -> RenderPlan:
    """The plan for mouths that are to be generated, from measured samples.

    own: by track, the person's own mouth in another video; without it, or where it could not be
    measured, that in the same frames decides.
    """
    own = {n: one for n, one in own.items() if one.known}
    by_track = {
        track: [one for one in samples if one.track == track]
        for track in {one.track for one in samples}
    }
    energies = {n: np.concatenate([one.energies for one in some]) for n, some in by_track.items()}
    excess = _interpolated(
        plan, {one.number: one.excess_over(own.get(one.track)) for one in samples}
    )
    ratios = _interpolated(plan, {one.number: one.ratio for one in samples})
    plan = replace(
        plan,
        sharpness=ratios,
        blur=own_probability(excess, frame_scale(plan.matrices)).astype(np.float32),
        sampled=np.array([one.number for one in samples], np.int64),
    )
    blurs = {n: _sampled_blur(some, config, own.get(n)) for n, some in by_track.items()}
    return _gated(with_blur(with_energies(plan, energies), blurs), config)


def _sampled_blur(
    samples: Sequence[MeasuredChunk], config: RestoreConfig, own: EdgeVariances | None
) -> TrackBlur:
    """Of one track."""
    edges, own_edges, matrices = (
        np.concatenate([getattr(one, name) for one in samples])
        for name in ("edges", "own_edges", "matrices")
    )
    own = own or EdgeVariances.of(own_edges, matrices)
    seen = EdgeVariances.of(edges, matrices)
    return TrackBlur.of(seen, matrices, own, doubt=_doubt(config))


def chunks_to_sample(plan: RenderPlan) -> list[int]:
    """Numbers of the chunks to sample: some in each run, evenly spread over it."""
    chosen: list[int] = []
    for first, last in plan.runs():
        run = slice(first, last)
        numbers = np.unique(plan.chunk[run][plan.shown[run] > 0])
        seconds = float(plan.seconds[last - 1] - plan.seconds[first])
        count = 1 + int(len(numbers) >= FEW_CHUNKS) + int(seconds // SAMPLE_EVERY)
        middles = (np.arange(min(count, len(numbers))) + 0.5) / min(count, len(numbers))
        chosen += [int(numbers[int(middle * len(numbers))]) for middle in middles]
    return chosen


def _interpolated(plan: RenderPlan, measured: Mapping[int, float]) -> np.ndarray:
    """(N,) float32: linear interpolation between the middles of the measured chunks."""
    figures, seconds = np.full(len(plan), np.nan, np.float32), plan.seconds
    for first, last in plan.runs():
        numbers = plan.chunk[first:last]
        known = [n for n in np.unique(numbers) if not np.isnan(measured.get(int(n), np.nan))]
        if known:
            middles = [float(seconds[first:last][numbers == n].mean()) for n in known]
            values = [measured[int(n)] for n in known]
            figures[first:last] = np.interp(seconds[first:last], middles, values)
    return figures


def _gated(plan: RenderPlan, config: RestoreConfig) -> RenderPlan:
    strength = np.zeros(len(plan), np.float32)
    states = np.full(len(plan), gate.MouthState.NONE, np.int8)
    for first, last in plan.runs():
        run = slice(first, last)
        states[run] = gate.judge(
            plan.scale[run],
            plan.blur[run],
            seconds=plan.seconds[run],
            min_scale=config.min_scale,
            blur_on=config.blur_on,
            blur_off=config.blur_off,
        )
        wholly, gently = gate.wanted(states[run], when=config.when, uncertain=config.uncertain)
        strength[run] = np.maximum(
            _faded(plan, first, last, wholly, config),
            gate.GENTLE * _faded(plan, first, last, gently, config),
        )
    if plan.speech:  # where the filmed mouth is shown, it stays as filmed
        strength *= np.where(plan.chunk >= 0, plan.shown, 1)
    return replace(plan, strength=strength, mouth_state=states)


def _faded(
    plan: RenderPlan, first: int, last: int, needed: np.ndarray, config: RestoreConfig
) -> np.ndarray:
    """Strengths of the run of output frames from first to last. needed: (last - first,) bool."""
    return gate.strengths(
        needed,
        seconds=plan.seconds[first:last],
        fade_seconds=config.fade_seconds,
        fade_start=plan.borders_gap(first, -1),
        fade_end=plan.borders_gap(last - 1, +1),
    )


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """(K, ...) float -> the same, each row with NaN replaced by the nearest row without.

    Where all rows hold NaN, they are returned unchanged.
    """
    good = np.flatnonzero(~np.isnan(values).reshape(len(values), -1).any(axis=1))
    if not len(good):
        return values
    index = np.arange(len(values))
    after = np.searchsorted(good, index).clip(max=len(good) - 1)
    before = (after - 1).clip(min=0)
    is_before = np.abs(good[before] - index) <= np.abs(good[after] - index)
    return values[np.where(is_before, good[before], good[after])]
