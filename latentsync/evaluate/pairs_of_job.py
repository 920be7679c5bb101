"""Pairs of frames from a running job, whose frames and faces are known already.

Frames are taken before the encode. A thread of its own looks at them, so that the encoder is not
kept waiting; it waits where this thread is far behind.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from latentsync.evaluate.faces import FaceLooks
from latentsync.evaluate.measures.outside import Untouched
from latentsync.evaluate.pair import FramePair, Measure, SeenFace
from latentsync.evaluate.pairs_of_files import LONGEST_STEP, continues
from latentsync.evaluate.sampling import Bursts
from latentsync.evaluate.shots import Moment
from latentsync.evaluate.statistics import Measured
from latentsync.face.masks import region_mask
from latentsync.pipeline.concurrency import JOIN_SECONDS, PlacedQueue
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.rendering import SHOWN
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered
from latentsync.tone import sdr
from latentsync.types import Alignment

SHARE = 0.15
"""Of the frames, at most. One takes 45 ms of a core to measure, where the rest of a job with Detail
takes 80 ms a frame of 640x480, and more for larger ones: 8 %. Reading the speech adds half a
second, and 1 to 2 %."""
BURST = 4
"""Neighbouring frames that are measured together: shorter bursts than of files, as few frames have
to tell of the whole video."""
BEHIND = 8
"""Frames that wait to be measured, fewer of large ones: two bursts, before any blocks the
encoder."""


class PairsOfJob:
    """An observer of a job, see Session.render: hands pairs to the measures.

    A context manager: leaving it stops the thread. Of several speakers the first is looked at.
    new_measures: makes them, once the plan is known. region: what is restored, see face.masks.
    folders: of weights. share: of the frames, at most.

    total: output frames. measured: pairs given out. without_source: None. cuts_seconds: where shots
    begin. moments: where mouths are in the pairs. As PairsOfFiles.
    """

    without_source: str | None = None

    def __init__(
        self,
        new_measures: Callable[[RenderPlan], Sequence[Measure]],
        *,
        region: str = "mouth",
        folders: Sequence[str | Path] = (),
        share: float = SHARE,
    ) -> None:
        self._new_measures, self._region = new_measures, region
        self.measures: Sequence[Measure] = ()
        self._untouched = Untouched()
        self._looks, self._share = FaceLooks(folders), share
        self._waiting: queue.Queue[tuple[str, Rendered | None]] = PlacedQueue(maxsize=BEHIND)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._plan: RenderPlan | None = None
        self._last: FramePair | None = None
        self.total = self.measured = 0
        self.cuts_seconds: list[float] = []
        self.moments: list[Moment] = []

    def __enter__(self) -> PairsOfJob:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._error = self._error or error  # what waits to be measured is dropped
        self._stop(JOIN_SECONDS if error else None)

    def begin(self, plan: RenderPlan, timer: StageTimer) -> None:
        """Called once the plan is made, before the first frame."""
        self._plan, self._timer, rate = plan, timer, float(plan.rate)
        self._bursts = Bursts.over(len(plan) / rate, rate, burst=BURST, share=self._share)
        self._mask = region_mask(SHOWN if plan.generates else self._region)
        cuts = np.flatnonzero(plan.analysis.cuts[plan.source] & (plan.source > 0))
        self.cuts_seconds = [round(float(one), 3) for one in plan.seconds[cuts]]
        self.total = len(plan)
        with timer.stage(Stage.EVALUATE):
            self.measures = self._new_measures(plan)

    def add(self, item: Rendered) -> None:
        """item: a finished frame, before the encode; in order."""
        assert self._plan is not None
        if self._error is not None or not self._bursts.takes(item.index / float(self._plan.rate)):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._waiting.put(("item", item))

    def finish(self) -> None:
        """Waits until all frames are measured."""
        self._stop(None)

    def results(self) -> list[Measured]:
        """Of all measures, and what only a job knows: see measures.outside. Raises what a measure
        raised."""
        if self._error is not None:
            raise self._error
        found = [one for each in self.measures for one in each.results()]
        return [*found, *self._untouched.results()]

    def _stop(self, timeout: float | None) -> None:
        if self._thread is not None:
            self._waiting.put(("end", None))
            self._thread.join(timeout)
            self._thread = None

    def _run(self) -> None:
        while (item := self._waiting.get()[1]) is not None:
            if self._error is None:
                try:
                    with self._timer.stage(Stage.EVALUATE, frames=1):
                        self._measure(item)
                except BaseException as error:
                    self._error = error
            del item

    def _measure(self, item: Rendered) -> None:
        pair = self._pair(item)
        if item.changed is not None:
            pixels = item.before.pixels, item.after.pixels
            self._untouched.add(pair.seconds, *pixels, item.changed)
        if self._last is not None and self._goes_on(item.index) and continues(self._last, pair):
            pair = replace(pair, follows=True)
        self._last = pair
        if (moment := Moment.of(pair, self._behind(item.index))) is not None:
            self.moments.append(moment)
        for one in self.measures:
            one.add(pair)
        self.measured += 1

    def _goes_on(self, index: int) -> bool:
        """Whether an output frame continues the one before."""
        plan = self._plan
        assert plan is not None
        if not index or plan.jumps[index] or plan.analysis.cuts[plan.source[index]]:
            return False
        return bool(abs(plan.source[index] - plan.source[index - 1]) <= LONGEST_STEP)

    def _pair(self, item: Rendered) -> FramePair:
        before = sdr(item.before).pixels
        changes = (*item.generated.values(), *item.restored.values())
        changed = any(one.largest for one in changes)
        after = sdr(item.after).pixels if changed else before
        face, alignment = None, self._alignment(item.index)
        source_face: SeenFace | None = None
        if alignment is not None:
            source_face = self._looks(before, alignment)
            face = self._looks(after, alignment) if changed else source_face
        assert self._plan is not None
        second = float(self._plan.seconds[item.index])
        return FramePair(
            *(item.index, second, after, before, face, source_face),
            follows=False,
            mask=self._mask,
            new_mouth=alignment is not None and _is_new(item, alignment.track),
        )

    def _behind(self, index: int) -> tuple[int, float]:
        """Number and second of the source's frame that an output frame shows."""
        assert self._plan is not None
        source = int(self._plan.source[index])
        return source, float(self._plan.analysis.pts_seconds[source])

    def _alignment(self, index: int) -> Alignment | None:
        """Of the first speaker, as the job has it."""
        assert self._plan is not None
        found = self._plan.analysis.alignments[self._plan.source[index]]
        return found and replace(found, matrix=self._plan.matrices[index])


def _is_new(item: Rendered, track: int) -> bool:
    """Whether a generated mouth changed the frame."""
    change = item.generated.get(track)
    return change is not None and change.largest > 0
