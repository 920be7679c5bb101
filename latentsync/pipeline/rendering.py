"""Pass 2: renders a plan's output frames in stages. No stage holds more than a chunk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from latentsync.face.masks import region_mask
from latentsync.generate.base import LipGenerator
from latentsync.pipeline.concurrency import CancelFlag, linked
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.fitting import Restorers
from latentsync.pipeline.lipsync import Speech
from latentsync.pipeline.planning.layout import Layout
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
"""Sampled chunks whose mouths are kept for the render: 50 MB each at 512 pixels."""

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
    generated. kept: chunk number -> mouths that are not generated again. reused: frames of the
    last pass that reuse an earlier frame's restoration.
    """

    engine: Engine
    source: Source
    timer: StageTimer
    flag: CancelFlag
    layout: Layout
    restore: RestoreConfig
    speech: Speech | None
    generator: LipGenerator | None
    kept: dict[int, torch.Tensor] = field(default_factory=dict)
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
        items: Items = self.read(plan, indices)
        before = StageLink(Stage.DECODE_AGAIN, AHEAD, iter)
        for stage in self._stages(plan, indices, restorers):
            below = linked(items, before.name, stage.name, before.ahead, timer=self.timer)
            items, before = stage.run(self.flag.checked(below)), stage
        for item in linked(items, before.name, Stage.COMPOSITE, before.ahead, timer=self.timer):
            with self.timer.stage(Stage.COMPOSITE):
                done = render(item)
            yield done

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
        """The items with generated mouths. keep: whether the mouths of some chunks are kept."""
        speech, generator = self.speech, self.generator
        if speech is None or generator is None:
            return iter(items)
        stage = GenerateStage(
            generator,
            plan,
            region_mask(SHOWN),
            fill=self.layout.fill,
            as_upstream=self.layout.upstream,
            ready=self.kept,
            keep=KEPT if keep else 0,
        )
        seconds = plan.seconds[indices[plan.chunk[indices] >= 0]]
        return stage(items, iter(speech.windows_at(seconds)), timer=self.timer)

    def _stages(
        self, plan: RenderPlan, indices: np.ndarray, restorers: Restorers | None
    ) -> Iterator[StageLink]:
        if self.generator is not None:
            ahead = self.generator.chunk_frames
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
