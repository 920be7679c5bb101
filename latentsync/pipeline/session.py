"""A session: one video, from the analysis to the finished frames. The recipe stands here.

with Session(engine, "video.mp4", audio="speech.wav") as session:
    session.analyze(progress)           # faces, tracks, cuts, sharpness, widths of edges
    session.preview([10, 50])           # before and after of some output frames
    for frame in session.frames(): ...  # the finished video, frame by frame
    session.render("out.mp4", progress) # the finished file, and its report
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
import torch

from latentsync.errors import ConfigError
from latentsync.face.detector import FaceTracker
from latentsync.face.masks import region_mask, rest_mask
from latentsync.generate.base import Footage, GenerationRequest, LipGenerator, Preparing
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.analysis import Analyzer, SourceAnalysis
from latentsync.pipeline.concurrency import CancelFlag
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.fitting import Original, Restorers, mouths_to_restore
from latentsync.pipeline.lipsync import Speech
from latentsync.pipeline.planning import decide
from latentsync.pipeline.planning.layout import Layout, laid_out, lead_in
from latentsync.pipeline.planning.own_mouth import own_edges
from latentsync.pipeline.planning.plan import RenderPlan, check_overlap, check_plan
from latentsync.pipeline.planning.samples import Samples, sampled
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.rendering import Rendering
from latentsync.pipeline.requirements import NEEDS_REFERENCE, restores
from latentsync.pipeline.source import CheckedSource, Source, VideoFile, footage_of
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered
from latentsync.restoration.base import Fittable, Steadiable, Tunable
from latentsync.restoration.mouth_blur import EdgeVariances
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.restoration.strength import MatchedStrengths
from latentsync.restoration.warping_error import Flicker
from latentsync.runtime.execution import Execution
from latentsync.settings.schema import Config
from latentsync.speech.features import AcousticFeatures
from latentsync.types import Frame

if TYPE_CHECKING:
    from latentsync.pipeline.output import Output


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """One output frame before and after; index, from 0. (H, W, 3) uint8 RGB."""

    index: int
    before: Frame
    after: Frame


class Session:
    """One video, and its new speech, if any; used by one thread at a time.

    video: a file, probed or not, or a Source. audio: an audio or video file; None: the mouths in
    the video are restored. plan: made by another session of the same video, speech and
    configuration; see planning.plan_file. config: of this video; it may differ from the engine's
    in settings that no loaded model depends on. detector: one that no other session uses at the
    same time; None: a new one.
    Raises MediaError: not readable; ConfigError: the plan or the settings do not fit, or Self has
    no original video; whatever the face detector raises.
    """

    def __init__(
        self,
        engine: Engine,
        video: str | Path | VideoInfo | Source,
        *,
        audio: str | Path | None = None,
        plan: RenderPlan | None = None,
        config: Config | None = None,
        detector: FaceTracker | None = None,
    ) -> None:
        self.engine, self.config = engine, config or engine.config
        engine.check_fits(self.config)
        source = _source(video)
        self._flag = CancelFlag(f"the session of {source.info.path}")
        self.source: Source = CheckedSource(source, self._flag.check)
        self.reads_file = isinstance(source, VideoFile)
        self.audio = None if audio is None else Path(audio)
        self.timer = StageTimer()
        if plan is not None:
            check_plan(plan, source.info, speech=audio is not None)
        fits = isinstance(engine.restorer, Fittable) and restores(self.config)
        if fits and audio is None and self.config.restore.reference is None:
            raise ConfigError("restore.name", self.config.restore.name, NEEDS_REFERENCE)
        self._analysis = None if plan is None else plan.analysis
        self._plan = plan
        self._samples: Samples | None = None
        self._open: WeakSet[Generator[Rendered, None, None]] = WeakSet()
        self._meter = SharpnessMeter(region_mask("mouth"), rest_mask())
        with self.timer.stage(Stage.LOAD):
            detector = detector or engine.new_detector(self.config.face)
        face, as_upstream = self.config.face, self.config.as_upstream
        self._analyze = Analyzer(detector, self._meter, face, self.timer, as_upstream)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops what is running; the session cannot be used afterwards."""
        self._flag.set("is closed")
        for running in list(self._open):
            with suppress(ValueError):  # another thread runs it: the flag stops that
                running.close()

    def cancel(self) -> None:
        """From any thread: running calls raise Cancelled within a denoising step or a frame."""
        self._flag.set()

    def check(self) -> None:
        """Raises Cancelled where the session was cancelled or closed."""
        self._flag.check()

    def analyze(self, progress: Progress = no_progress) -> SourceAnalysis:
        """Runs pass 1, once: faces, tracks, cuts, sharpness and widths of edges of the source.

        Raises FaceNotFoundError where no frame holds a usable face, MediaError and Cancelled.
        """
        if self._analysis is None:
            with progress("detecting faces", self.source.info.frame_count) as step:
                self._analysis = self._analyze(self.source, step)
        return self._analysis

    def make_plan(self, progress: Progress = no_progress) -> RenderPlan:
        """Makes every decision about every output frame, once.

        With new speech some chunks are generated for it, and measured. Raises as analyze does, and
        a LatentSyncError where the generator cannot be used with this video or speech.
        """
        if self._plan is None:
            self.speech  # noqa: B018  its errors are raised before the long work
            self.analyze(progress)
            self._plan = self._decided(progress)
            self.generator  # noqa: B018  likewise
        return self._plan

    @property
    def plan(self) -> RenderPlan:
        """See make_plan."""
        return self.make_plan()

    def preview(self, indices: Sequence[int]) -> list[Preview]:
        """Those output frames as the whole run would render them; only their chunks are generated.

        Raises ConfigError: there is no such frame.
        """
        for index in indices:
            if not 0 <= index < len(self.plan):
                remedy = f"the output has the frames 0 to {len(self.plan) - 1}"
                raise ConfigError("no such output frame", index, remedy)
        needed = {i for index in indices for i in range(*self._reach(index, index + 1))}
        made = {
            item.index: Preview(item.index, item.before, item.after)
            for item in self._rendered(np.array(sorted(needed), np.int64))
            if item.index in indices
        }
        return [made[index] for index in indices]

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """The finished output frames from start to stop (not included), in order.

        A range is the same as in the whole video. Raises MediaError where the video changed
        meanwhile, and Cancelled.
        """
        return (item.after for item in self.rendered(start, stop))

    def render(
        self,
        target: str | Path | Output,
        progress: Progress = no_progress,
        *,
        command: str | None = None,
    ) -> dict[str, Any]:
        """Writes the finished file, and its report beside it. Returns the report.

        target: the file, or the result of check_output. command: the command line, for the report.

        Raises as make_plan does, ConfigError and MediaError where the file cannot be written, or
        exists already (output.overwrite). After an error no new file is left, and existing files
        are unchanged.
        """
        from latentsync.pipeline.output import write_video  # it imports this module

        path = Path(target) if isinstance(target, str) else target
        return write_video(self, path, progress, command=command)

    def rendered(self, start: int = 0, stop: int | None = None) -> Iterator[Rendered]:
        """As frames(), each frame with its changes."""
        start, stop = max(start, 0), len(self.plan) if stop is None else min(stop, len(self.plan))
        for item in self._rendered(np.arange(*self._reach(start, stop))):
            if start <= item.index < stop:
                yield item
        self._flag.check()  # close() ends the loop early

    @property
    def reused(self) -> int:
        """Frames of the last pass that reuse an earlier one's restoration; see restore.reuse."""
        return self._rendering.reused

    @property
    def flicker(self) -> Mapping[int, Flicker]:
        """By track, the warping error of the last pass before and after the restoration."""
        return self._rendering.flicker

    @cached_property
    def restorers(self) -> Restorers | None:
        """Track -> its tuned or fitted restorer; None: nothing is restored."""
        restorer = self.engine.restorer
        if restorer is None or not restores(self.config):
            return None
        return Restorers(restorer, MatchedStrengths() if self._matches else None)

    @property
    def _matches(self) -> bool:
        """Whether strengths are matched to the face. Detail is tuned to the same goal already; and
        where the whole face is restored, none of it is left to compare with."""
        restore = self.config.restore
        tuned = isinstance(self.engine.restorer, Tunable)
        return restore.strength == "auto" and restore.region != "face" and not tuned

    @cached_property
    def speech(self) -> Speech | None:
        """Features of the new speech, or None."""
        if self.audio is None:
            return None
        return self.engine.lipsync.encode_speech(self.audio, self._flag.check)

    @cached_property
    def layout(self) -> Layout:
        """How source frames map to output frames, and output frames to chunks."""
        return Layout.of(self.config, None if self.audio is None else self.engine.lipsync.generator)

    @cached_property
    def generator(self) -> LipGenerator | None:
        """The generator, prepared for this video and speech."""
        if self.speech is None or not self._undecided.generates:
            return None
        check_overlap(self._undecided, self.layout.overlap)
        generator = self.engine.lipsync.generator
        if isinstance(generator, Preparing):
            with self.timer.stage(Stage.PREPARE):
                return generator.prepare(self._request())
        return generator

    @cached_property
    def _rendering(self) -> Rendering:
        return Rendering(
            self.engine,
            self.source,
            self.timer,
            self._flag,
            self.layout,
            self.config.restore,
            self.speech,
            self.generator,
        )

    @cached_property
    def _undecided(self) -> RenderPlan:
        if self._plan is not None:
            return self._plan
        restorer = self.engine.restorer
        return laid_out(
            self.config,
            self.layout,
            self.analyze(),
            self.source.info,
            self.speech,
            size=None if restorer is None else restorer.size,
        )

    def _decided(self, progress: Progress) -> RenderPlan:
        plan, restore = self._undecided, self.config.restore
        if not restores(self.config):
            return plan
        if self.audio is None:
            return decide.decided_by_analysis(plan, restore, self._own_edges())
        tuned = isinstance(self.engine.restorer, Tunable | Fittable)
        wanted = restore.when == "auto" or tuned or self._matches
        numbers = decide.chunks_to_sample(plan) if wanted else []
        self._samples = self._sampled(numbers, progress)
        return decide.decided_by_samples(plan, restore, self._samples.chunks, self._own_edges())

    def _own_edges(self) -> Mapping[int, EdgeVariances]:
        """By track, the edges of the person's own mouth in the reference; none without one."""
        restore = self.config.restore
        if restore.reference is None:
            return {}
        return own_edges(self.analyze(), self._original.analysis)

    def _sampled(self, numbers: Sequence[int], progress: Progress = no_progress) -> Samples:
        crops = isinstance(self.engine.restorer, Fittable) or self._matches
        made, plan = self._rendering, self._undecided
        return sampled(made, plan, numbers, self._meter, crops=crops, progress=progress)

    def _rendered(self, indices: np.ndarray) -> Generator[Rendered, None, None]:
        """indices: of output frames, rising; all of each chunk."""
        plan = self.plan
        self._make_ready(np.unique(plan.track[indices[plan.strength[indices] > 0]]))
        running = self._rendering.rendered(plan, indices, self.restorers)
        self._open.add(running)
        return running

    def _reach(self, start: int, stop: int) -> tuple[int, int]:
        """The output frames that the stages have to process for those from start to stop."""
        begin = start
        if self.restorers is not None:
            keeps_codes = isinstance(self.engine.restorer, Steadiable)
            begin = lead_in(start, self.config.restore, keeps_codes=keeps_codes)
        return self.plan.widened(begin, stop)

    def _make_ready(self, tracks: np.ndarray) -> None:
        if self.restorers is not None and len(tracks):
            with self.timer.stage(Stage.FIT):
                self.restorers.make_ready(
                    tracks.tolist(),
                    self.plan,
                    original=lambda: self._original,
                    to_restore=self._to_restore,
                    generator=self.generator,
                )

    def _to_restore(self, tracks: Sequence[int]) -> Mapping[int, Sequence[torch.Tensor]]:
        """Track -> some of the mouths that are to be restored."""
        if self.audio is None:
            return mouths_to_restore(tracks, self.plan, self.source)
        if self._samples is None:
            self._samples = self._sampled(self.plan.sampled.tolist())
        return self._samples.mouths

    @property
    def execution(self) -> Execution:
        """Device, backend and dtype of this session's networks."""
        return self.engine.execution if self.audio is None else self.engine.lipsync.execution

    @cached_property
    def _original(self) -> Original:
        """The video with the training mouths, for a restorer that is fitted."""
        reference = self.config.restore.reference
        if reference is None:
            return Original(self.source, self.analyze(), itself=True)
        source = self._opened(reference)
        return Original(source, self._analyze(source), itself=False)

    def _request(self) -> GenerationRequest:
        plan, speech = self._undecided, self.speech
        return GenerationRequest(
            footage_of(self.source, plan.analysis, self._flag.check),
            self._footage,
            plan.seconds,
            plan.source,
            plan.chunk,
            plan.jumps,
            self.layout.lengths(plan),
            speech.acoustics if isinstance(speech, AcousticFeatures) else None,
            self._flag.check,
        )

    def _footage(self, path: str) -> Footage:
        source = self._opened(path)
        return footage_of(source, self._analyze(source), self._flag.check)

    def _opened(self, path: str) -> Source:
        """Opens another video that this one needs."""
        return CheckedSource(VideoFile(probe(path)), self._flag.check)


def _source(video: str | Path | VideoInfo | Source) -> Source:
    if isinstance(video, str | Path):
        return VideoFile(probe(video))
    return VideoFile(video) if isinstance(video, VideoInfo) else video
