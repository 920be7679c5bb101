"""Generates sample mouths and measures them, to decide what is restored.

The choice of chunks depends on the plan alone, so that the decisions are the same whichever part of
the video is rendered, and in batches of any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import torch

from latentsync.face.composite import composite
from latentsync.pipeline.analysis import place_of
from latentsync.pipeline.fitting import TO_RESTORE as MOUTHS
from latentsync.pipeline.fitting import spread
from latentsync.pipeline.planning.decide import MeasuredChunk
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.rendering import FrameReader, Mouths
from latentsync.pipeline.stage_timer import Stage
from latentsync.pipeline.stages.restore import mouth_of
from latentsync.restoration.edge_blur import FIGURES, edge_figures
from latentsync.restoration.sharpness import BANDS, SharpnessMeter, sharpness
from latentsync.tone import sdr
from latentsync.types import PatchedFrame


@dataclass(slots=True, eq=False)
class Samples:
    """chunks: measured. mouths: track -> (3, h, w) each, as the restorer's input."""

    chunks: list[MeasuredChunk] = field(default_factory=list)
    mouths: dict[int, list[torch.Tensor]] = field(default_factory=dict)


def sampled(
    mouths: Mouths,
    reader: FrameReader,
    plan: RenderPlan,
    numbers: Sequence[int],
    meter: SharpnessMeter,
    *,
    crops: bool,
    progress: Progress,
) -> Samples:
    """Generates those chunks and measures their mouths. crops: whether some of the mouths are
    returned as well, at most MOUTHS of each track."""
    if not numbers:
        return Samples()
    spans = plan.chunk_spans()
    indices = np.concatenate([np.arange(*spans[number]) for number in numbers])
    kept = _spread_by_track(plan, indices) if crops else frozenset()
    read = mouths.to_read(plan, indices)
    with progress("sampling mouths", len(read)) as step:
        items = reader(plan, read, step)
        made = mouths.generated(plan, items, indices, read, keep=True)
        with reader.timer.stage(Stage.SAMPLE):
            return measured(made, plan, meter, kept)


def measured(
    items: Iterable[PatchedFrame], plan: RenderPlan, meter: SharpnessMeter, kept: Set[int]
) -> Samples:
    """items: all frames of some chunks, with their generated mouths, in order.

    kept: output frames whose mouths are returned as well.
    """
    found = Samples()
    for number, frames in _by_chunk(items, plan):
        track = int(plan.track[frames[0].index])
        found.chunks.append(_measured_chunk(number, track, frames, plan, meter))
        geometry = plan.tracks[track].geometry
        found.mouths.setdefault(track, []).extend(
            mouth_of(item, geometry, plan.matrices[item.index])
            for item in frames
            if item.index in kept
        )
    return found


def _spread_by_track(plan: RenderPlan, indices: np.ndarray) -> frozenset[int]:
    """Some of these output frames, evenly spread over those of each track."""
    generated = indices[plan.chunk[indices] >= 0]
    tracks = plan.track[generated]
    return frozenset(
        int(index)
        for track in np.unique(tracks)
        for index in spread(generated[tracks == track], MOUTHS)
    )


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
    energies, ratios, edges, own_edges, matrices = [], [], [], [], []
    for item in frames:
        shown, matrix = int(plan.source[item.index]), plan.matrices[item.index]
        filmed, face = plan.analysis.energies[shown], plan.analysis.alignments[shown]
        below = sdr(item.frame)
        pixels = composite(below, item.patches)
        drawn = meter(pixels, matrix)
        if face is not None and not (np.isnan(drawn).any() or np.isnan(filmed).any()):
            place = place_of(face.landmarks, matrix)
            energies.append(np.stack([drawn[0], filmed[1]]))
            ratios.append(float(sharpness(drawn) / sharpness(filmed)))
            edges.append(edge_figures(pixels, place))
            own_edges.append(edge_figures(below.pixels, place))
            matrices.append(matrix)
    return MeasuredChunk(
        number,
        track,
        np.array(energies, np.float32).reshape(-1, 2, BANDS),
        float(np.median(ratios)) if ratios else np.nan,
        np.array(edges, np.float32).reshape(-1, len(FIGURES)),
        np.array(own_edges, np.float32).reshape(-1, len(FIGURES)),
        np.array(matrices, np.float32).reshape(-1, 2, 3),
    )
