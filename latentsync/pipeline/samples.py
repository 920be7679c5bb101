"""Some mouths generated beforehand: what the rest of the run is decided by.

Which chunks is a matter of the plan alone, so that the decisions are the same whatever part of the
video is rendered, and in whatever batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from latentsync.face.composite import composite
from latentsync.generate.base import LipGenerator
from latentsync.pipeline.decide import MeasuredChunk
from latentsync.pipeline.plan import RenderPlan
from latentsync.pipeline.stages.restore import mouth_of
from latentsync.restore.sharpness import BANDS, SharpnessMeter, sharpness
from latentsync.types import Chunk, PatchedFrame

KEPT = 4
"""Chunks that are not generated again when the video is rendered: 50 MB each at 512 pixels."""


class Remembering:
    """A generator that keeps the mouths of its first KEPT chunks in ``kept``, by number."""

    def __init__(self, generator: LipGenerator, kept: dict[int, torch.Tensor]) -> None:
        self._generator, self._kept = generator, kept
        self.name, self.size = generator.name, generator.size
        self.chunk_frames = generator.chunk_frames
        self.audio: str | None = generator.audio

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        mouths = self._generator(chunk)
        if len(self._kept) < KEPT:
            self._kept[chunk.index] = mouths
        return mouths


@dataclass(slots=True, eq=False)
class Samples:
    """chunks: as measured. mouths: by track, (3, h, w) each, as a restorer is given them."""

    chunks: list[MeasuredChunk] = field(default_factory=list)
    mouths: dict[int, list[torch.Tensor]] = field(default_factory=dict)


def measured(
    items: Iterable[PatchedFrame], plan: RenderPlan, meter: SharpnessMeter, *, crops: bool
) -> Samples:
    """items: all frames of some chunks, with their generated mouths, in order.

    crops: whether the mouths themselves are wanted as well.
    """
    found = Samples()
    for number, frames in _by_chunk(items, plan):
        track = int(plan.track[frames[0].index])
        found.chunks.append(_measured_chunk(number, track, frames, plan, meter))
        if crops:
            geometry = plan.tracks[track].geometry
            found.mouths.setdefault(track, []).extend(
                mouth_of(item, geometry, plan.matrices[item.index]) for item in frames
            )
    return found


def _by_chunk(
    items: Iterable[PatchedFrame], plan: RenderPlan
) -> Iterator[tuple[int, list[PatchedFrame]]]:
    frames: list[PatchedFrame] = []
    for item in items:
        if not item.patches:
            continue
        if frames and plan.chunk[item.index] != plan.chunk[frames[0].index]:
            yield int(plan.chunk[frames[0].index]), frames
            frames = []
        frames.append(item)
    if frames:
        yield int(plan.chunk[frames[0].index]), frames


def _measured_chunk(
    number: int,
    track: int,
    frames: list[PatchedFrame],
    plan: RenderPlan,
    meter: SharpnessMeter,
) -> MeasuredChunk:
    energies, ratios = [], []
    for item in frames:
        filmed = plan.analysis.energies[plan.source[item.index]]
        drawn = meter(composite(item.frame, item.patches), plan.matrices[item.index])
        if not (np.isnan(drawn).any() or np.isnan(filmed).any()):
            energies.append(np.stack([drawn[0], filmed[1]]))
            ratios.append(float(sharpness(drawn) / sharpness(filmed)))
    known = np.stack(energies) if energies else np.empty((0, 2, BANDS), np.float32)
    return MeasuredChunk(number, track, known, float(np.median(ratios)) if ratios else np.nan)
