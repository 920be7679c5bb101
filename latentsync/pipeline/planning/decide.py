"""Decides the strength for each output frame: from mouths in the video, or generated samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentsync.pipeline.planning.plan import RenderPlan, with_energies
from latentsync.restoration import gate
from latentsync.restoration.sharpness import sharpness
from latentsync.settings.schema import RestoreConfig

GENERATED_ON, GENERATED_OFF = 0.85, 0.92
"""Sharpness of a generated mouth relative to the original one: restored below the first, until
above the second."""
SAMPLE_EVERY = 10.0
"""One more chunk is sampled for each of these seconds of a run."""
FEW_CHUNKS = 4
"""In a shorter run one chunk is sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredChunk:
    """The generated mouths of one chunk, K of them measured.

    number: of the chunk. track: of its face. energies: (K, 2, BANDS) float32, [generated mouth, the
    rest of the same face]. ratio: median sharpness of the generated mouths relative to the
    original ones; nan where none could be measured.
    """

    number: int
    track: int
    energies: np.ndarray
    ratio: float


def decided_by_analysis(plan: RenderPlan, config: RestoreConfig) -> RenderPlan:
    """The plan for mouths in the video, all of which the analysis has measured."""
    analysis = plan.analysis
    energies = {
        number: fill_gaps(analysis.energies[frames])
        for number, frames in analysis.frames_by_track().items()
    }
    figures = np.full(len(analysis), np.nan, np.float32)
    for number, frames in analysis.frames_by_track().items():
        figures[frames] = sharpness(energies[number])
    plan = replace(plan, sharpness=figures[plan.source])
    return _gated(with_energies(plan, energies), config, speech=False)


def decided_by_samples(
    plan: RenderPlan, config: RestoreConfig, samples: Sequence[MeasuredChunk]
) -> RenderPlan:
    """The plan for mouths that are to be generated, from measured samples."""
    energies = {
        track: np.concatenate([one.energies for one in samples if one.track == track])
        for track in {one.track for one in samples}
    }
    figures = _ratios(plan, {one.number: one.ratio for one in samples})
    plan = replace(
        plan, sharpness=figures, sampled=np.array([one.number for one in samples], np.int64)
    )
    return _gated(with_energies(plan, energies), config, speech=True)


def thresholds(config: RestoreConfig, *, speech: bool) -> tuple[float, float]:
    """Sharpness below which restoration starts, and above which it stops; see gate.need.

    speech: whether mouths are generated for new speech.
    """
    return (GENERATED_ON, GENERATED_OFF) if speech else (config.sharpness_on, config.sharpness_off)


def chunks_to_sample(plan: RenderPlan) -> list[int]:
    """Numbers of the chunks to sample: some in each run, evenly spread over it."""
    chosen: list[int] = []
    for first, last in plan.runs():
        numbers = np.unique(plan.chunk[first:last])
        seconds = float(plan.seconds[last - 1] - plan.seconds[first])
        count = 1 + int(len(numbers) >= FEW_CHUNKS) + int(seconds // SAMPLE_EVERY)
        middles = (np.arange(min(count, len(numbers))) + 0.5) / min(count, len(numbers))
        chosen += [int(numbers[int(middle * len(numbers))]) for middle in middles]
    return chosen


def _ratios(plan: RenderPlan, ratios: Mapping[int, float]) -> np.ndarray:
    """(N,) float32: linear interpolation between the middles of the measured chunks."""
    figures, seconds = np.full(len(plan), np.nan, np.float32), plan.seconds
    for first, last in plan.runs():
        numbers = plan.chunk[first:last]
        known = [n for n in np.unique(numbers) if not np.isnan(ratios.get(int(n), np.nan))]
        if known:
            middles = [float(seconds[first:last][numbers == n].mean()) for n in known]
            values = [ratios[int(n)] for n in known]
            figures[first:last] = np.interp(seconds[first:last], middles, values)
    return figures


def _gated(plan: RenderPlan, config: RestoreConfig, *, speech: bool) -> RenderPlan:
    strength = np.zeros(len(plan), np.float32)
    on, off = thresholds(config, speech=speech)
    for first, last in plan.runs():
        run = slice(first, last)
        needed = gate.need(
            plan.scale[run],
            plan.sharpness[run],
            seconds=plan.seconds[run],
            when=config.when,
            min_scale=config.min_scale,
            sharpness_on=on,
            sharpness_off=off,
        )
        strength[run] = gate.strengths(
            needed,
            seconds=plan.seconds[run],
            fade_seconds=config.fade_seconds,
            fade_start=plan.borders_gap(first, -1),
            fade_end=plan.borders_gap(last - 1, +1),
        )
    return replace(plan, strength=strength)


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
