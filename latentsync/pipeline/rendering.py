"""Pass 2: renders a plan's output frames in stages. No stage holds more than a chunk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from latentsync.face.masks import region_mask
from latentsync.generate.base import ChunkMouths, LipGenerator
from latentsync.generate.closed_mouth import ClosedMouths
from latentsync.pipeline.concurrency import CancelFlag, linked
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.fitting import Restorers
from latentsync.pipeline.lipsync import Speech
from latentsync.pipeline.planning.layout import Layout
from latentsync.pipeline.planning.linked_chunks import with_lead_in
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Source
from latentsync.pipeline.squares import Squares
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered, render
from latentsync.pipeline.stages.generate import GenerateStage
from latentsync.pipeline.stages.occlude import OccludeStage
from latentsync.pipeline.stages.restore import RestoreStage
from latentsync.settings.schema import RestoreConfig
from latentsync.types import PatchedFrame

AHEAD = 4  # frames queued between two stages: 25 MB at 1080p; two of 4K, one of 8K
SHOWN = "lower_face"  # the region of a generated face that is composited; see face.masks

KEPT = 4
"""Chunks that are generated for samples and kept for the render: 50 MB each at 512 pixels, and up
to 1 MB a denoising step for what chunks that overlap need of them."""

Items = Iterator[PatchedFrame]


class StageLink(NamedTuple):
    """A stage in the chain. ahead: queue depth of its output: all frames that it yields at once,
    but for large ones."""

    name: Stage
    ahead: int
    run: Callable[[Iterable[PatchedFrame]], Items]


@dataclass(frozen=True, slots=True, eq=False)
class FrameReader:
    """Reads a plan's output frames, without patches. flag: checked at every frame."""

    source: Source
    timer: StageTimer
    flag: CancelFlag

    def __call__(
        self, plan: RenderPlan, indices: np.ndarray, step: Callable[[], None] | None = None
    ) -> Items:
        """indices: of output frames, rising. step: called for each."""
        seconds = plan.seconds
        frames = self.timer.timed(Stage.DECODE_AGAIN, self.source.shown(plan.source[indices]))
        for i, frame in zip(indices, frames, strict=True):
            pts, second = int(plan.pts[i]), float(seconds[i])
            yield PatchedFrame(int(i), replace(frame, index=int(i), pts=pts, pts_seconds=second))
            if step is not None:
                step()


@dataclass(slots=True, eq=False)
class Mouths:
    """Generates the mouths of one speaker, stage by stage.

    generator: prepared for this video; None: no mouths are generated. closed: closed mouths for the
    pauses. squares: of the generator; None: the aligned crops. kept: chunk number -> what is not
    generated again. keeping: whether further chunks are kept.
    """

    layout: Layout
    speech: Speech | None
    generator: LipGenerator | None
    closed: ClosedMouths | None
    timer: StageTimer
    squares: Squares | None = None
    kept: dict[int, ChunkMouths] = field(default_factory=dict)
    keeping: bool = False

    def to_read(self, plan: RenderPlan, indices: np.ndarray) -> np.ndarray:
        """The output frames that mouths for these ones are generated from, rising."""
        return indices if self.generator is None else with_lead_in(plan, indices)

    def generated(
        self,
        plan: RenderPlan,
        items: Iterable[PatchedFrame],
        indices: np.ndarray,
        read: np.ndarray,
        *,
        keep: bool = False,
    ) -> Items:
        """The items, with generated mouths in those output frames.

        items: the output frames ``read``, at least those of to_read(). keep: whether some chunks
        are kept for the render.
        """
        speech, generator = self.speech, self.generator
        if speech is None or generator is None:
            return iter(items)
        stage = GenerateStage(
            generator,
            plan,
            indices,
            region_mask(SHOWN),
            fill=self.layout.fill,
            as_upstream=self.layout.upstream,
            closed=self.closed,
            ready=self.kept,
            keep=KEPT if keep or self.keeping else 0,
            squares=self.squares,
        )
        seconds = plan.seconds[read[plan.chunk[read] >= 0]]
        return stage(items, iter(speech.windows_at(seconds)), timer=self.timer)

    @property
    def ahead(self) -> int:
        """Output frames that the stage may yield at once."""
        assert self.generator is not None
        return self.generator.chunk_frames * (2 if self.layout.overlap else 1)


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerStages:
    """What is needed to render one speaker. restore: None: nothing is restored."""

    plan: RenderPlan
    mouths: Mouths
    restore: RestoreStage | None


def restore_stage(
    engine: Engine, plan: RenderPlan, restorers: Restorers, config: RestoreConfig
) -> RestoreStage:
    return RestoreStage(
        restorers,
        plan,
        replace(config, batch=engine.restore_batch),
        engine.execution.device,
        size=restorers.loaded.size,
        matched=restorers.matched,
    )


def rendered(
    speakers: Sequence[SpeakerStages], reader: FrameReader, indices: np.ndarray
) -> Generator[Rendered, None, None]:
    """The finished output frames with these indices, rising."""
    # Nothing else may hold the linked stages: they end, thread by thread, when this does.
    for item in _linked_stages(speakers, reader, indices):
        with reader.timer.stage(Stage.COMPOSITE):
            done = render(item)
        yield done


def _linked_stages(
    speakers: Sequence[SpeakerStages], reader: FrameReader, indices: np.ndarray
) -> Items:
    """The output frames with all patches."""
    timer, read = reader.timer, indices
    for one in speakers:
        read = np.union1d(read, one.mouths.to_read(one.plan, one.plan.whole_chunks(indices)))
    occlude = not speakers[0].mouths.layout.upstream
    items: Items = reader(speakers[0].plan, read)
    before = StageLink(Stage.DECODE_AGAIN, AHEAD, iter)
    for stage in _stages(speakers, indices, read, timer, occlude=occlude):
        items = linked(items, before.name, stage.name, before.ahead, timer=timer)
        items, before = stage.run(reader.flag.checked(items)), stage
    return linked(items, before.name, Stage.COMPOSITE, before.ahead, timer=timer)


def _stages(
    speakers: Sequence[SpeakerStages],
    indices: np.ndarray,
    read: np.ndarray,
    timer: StageTimer,
    *,
    occlude: bool,
) -> Iterator[StageLink]:
    """All mouths are generated before any is restored, as a restorer sees what lies below."""
    generating = [one for one in speakers if one.mouths.generator is not None]
    for number, one in enumerate(generating, 1):
        run = partial(_generated, one, indices, read, last=number == len(generating))
        yield StageLink(Stage.GENERATE, one.mouths.ahead, run)
    for one in speakers:
        if one.restore is not None:
            ahead = max(AHEAD, one.restore.config.batch)
            yield StageLink(Stage.RESTORE, ahead, partial(one.restore, timer=timer))
    if occlude:
        stage = OccludeStage([one.plan for one in speakers])
        yield StageLink(Stage.OCCLUDE, AHEAD, partial(stage, timer=timer))


def _generated(
    one: SpeakerStages,
    indices: np.ndarray,
    read: np.ndarray,
    items: Iterable[PatchedFrame],
    *,
    last: bool,
) -> Items:
    """last: whether no further speaker's mouths need the frames that were read in addition."""
    wanted = frozenset(indices.tolist())
    made = one.mouths.generated(one.plan, items, one.plan.whole_chunks(indices), read)
    return (item for item in made if item.index in wanted) if last else made
