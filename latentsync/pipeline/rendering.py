"""Pass 2: renders a plan's output frames in stages. No stage holds more than a chunk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from latentsync.face.masks import region_mask
from latentsync.generate.base import ChunkMouths, LipGenerator
from latentsync.pipeline.concurrency import CancelFlag, linked
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.fitting import Restorers
from latentsync.pipeline.lipsync import Speech
from latentsync.pipeline.planning.layout import Layout
from latentsync.pipeline.planning.linked_chunks import with_lead_in
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Source
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered, render
from latentsync.pipeline.stages.generate import GenerateStage
from latentsync.pipeline.stages.restore import RestoreStage
from latentsync.restoration.warping_error import Flicker
from latentsync.settings.schema import RestoreConfig
from latentsync.types import PatchedFrame

AHEAD = 4  # frames queued between two stages: 25 MB at 1080p
SHOWN = "lower_face"  # the region of a generated face that is composited; see face.masks

KEPT = 4
"""Chunks that are generated for samples and kept for the render: 50 MB each at 512 pixels, and up
to 1 MB a denoising step for what chunks that overlap need of them."""

Items = Iterator[PatchedFrame]


class StageLink(NamedTuple):
    """A stage in the chain. ahead: queue depth of its output: all frames that it yields at once."""

    name: Stage
    ahead: int
    run: Callable[[Iterable[PatchedFrame]], Items]


@dataclass(slots=True, eq=False)
class Rendering:
    """The stages of one session, and what they need beside the plan.

    restore: settings of the restoration. generator: prepared for this video; None: no mouths are
    generated. kept: chunk number -> what is not generated again. reused: frames of the last pass
    that reuse an earlier frame's restoration.
    """

    engine: Engine
    source: Source
    timer: StageTimer
    flag: CancelFlag
    layout: Layout
    restore: RestoreConfig
    speech: Speech | None
    generator: LipGenerator | None
    kept: dict[int, ChunkMouths] = field(default_factory=dict)
    _last: RestoreStage | None = None

    @property
    def reused(self) -> int:
        return 0 if self._last is None else self._last.reused

    @property
    def flicker(self) -> Mapping[int, Flicker]:
        """By track, of the last pass."""
        return {} if self._last is None else self._last.flicker.tracks

    def rendered(
        self, plan: RenderPlan, indices: np.ndarray, restorers: Restorers | None
    ) -> Generator[Rendered, None, None]:
        """indices: of output frames, rising; whole chunks. restorers: None: nothing is restored."""
        items: Items = self.read(plan, self.to_read(plan, indices))
        before = StageLink(Stage.DECODE_AGAIN, AHEAD, iter)
        for stage in self._stages(plan, indices, restorers):
            below = linked(items, before.name, stage.name, before.ahead, timer=self.timer)
            items, before = stage.run(self.flag.checked(below)), stage
        for item in linked(items, before.name, Stage.COMPOSITE, before.ahead, timer=self.timer):
            with self.timer.stage(Stage.COMPOSITE):
                done = render(item)
            yield done

    def to_read(self, plan: RenderPlan, indices: np.ndarray) -> np.ndarray:
        """The output frames that mouths for these ones are generated from, rising."""
        return indices if self.generator is None else with_lead_in(plan, indices)

    def read(
        self, plan: RenderPlan, indices: np.ndarray, step: Callable[[], None] | None = None
    ) -> Items:
        """Those output frames at the plan's times, without patches. step: called for each."""
        seconds = plan.seconds
        frames = self.timer.timed(Stage.DECODE_AGAIN, self.source.shown(plan.source[indices]))
        for i, frame in zip(indices, frames, strict=True):
            pts, second = int(plan.pts[i]), float(seconds[i])
            yield PatchedFrame(int(i), replace(frame, index=int(i), pts=pts, pts_seconds=second))
            if step is not None:
                step()

    def generated(
        self,
        plan: RenderPlan,
        items: Iterable[PatchedFrame],
        indices: np.ndarray,
        *,
        keep: bool = False,
    ) -> Items:
        """Those output frames with generated mouths. items: those of to_read(). keep: whether some
        chunks are kept for the render."""
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
            ready=self.kept,
            keep=KEPT if keep else 0,
        )
        read = self.to_read(plan, indices)
        seconds = plan.seconds[read[plan.chunk[read] >= 0]]
        return stage(items, iter(speech.windows_at(seconds)), timer=self.timer)

    def _stages(
        self, plan: RenderPlan, indices: np.ndarray, restorers: Restorers | None
    ) -> Iterator[StageLink]:
        if self.generator is not None:
            ahead = self.generator.chunk_frames * (2 if plan.overlap else 1)
            yield StageLink(
                Stage.GENERATE, ahead, lambda items: self.generated(plan, items, indices)
            )
        if restorers is not None:
            batch = self.engine.restore_batch
            stage = RestoreStage(
                restorers,
                plan,
                replace(self.restore, batch=batch),
                self.engine.execution.device,
                size=restorers.loaded.size,
                matched=restorers.matched,
            )
            self._last = stage
            yield StageLink(
                Stage.RESTORE, max(AHEAD, batch), lambda items: stage(items, timer=self.timer)
            )
