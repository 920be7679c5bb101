"""The engine: a configuration made ready for work, and the two passes over a film.

engine = Engine(load_config("configs/unet.yaml"))
for frame in engine.frames("video.mp4", audio="speech.wav"):
    ...  # frame.pixels: (H, W, 3) uint8 RGB
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch

from latentsync.errors import ConfigError, MediaError
from latentsync.face.detector import load_detector
from latentsync.face.masks import region_mask, rest_mask
from latentsync.generate.settings import hears_whisper
from latentsync.media.ordered import OrderedReader
from latentsync.media.reader import VideoReader
from latentsync.pipeline.analysis import SourceAnalysis, analyze_source
from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.decide import AgainstOwnMouth, AsPlanned, Decision
from latentsync.pipeline.lipsync import LipSync, Performance, Speech
from latentsync.pipeline.plan import FilmPlan, plan_film
from latentsync.pipeline.requirements import licences_wanted
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.composite import Composed, compose, compose_upstream
from latentsync.pipeline.stages.restore import RestoreStage
from latentsync.pipeline.teacher import Teacher
from latentsync.pipeline.threads import is_network, settle
from latentsync.restore.base import Fittable, load_restorer
from latentsync.restore.sharpness import SharpnessMeter
from latentsync.runtime.memory import fitting_batch
from latentsync.schema import Config
from latentsync.types import Box, Frame, PatchedFrame
from latentsync.weights import licences

REREAD = "decode again"  # the stage that reads the film in pass 2
NEEDS_REFERENCE = "it learns from the original film; name it with --reference"
AHEAD = 4  # frames that may wait between two stages: 25 MB at 1080p
FEW, MANY = 4, 16  # faces restored at once, if restore.batch leaves it open: on a CPU; on a GPU


T = TypeVar("T")


def _ignore() -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Enhanced:
    """A frame as it was and as it has become.

    changed: the part that may differ; None: nothing. restored: share of the restoration, 0 to 1.
    """

    before: Frame
    after: Frame
    changed: Box | None
    restored: float


class Engine:
    """Detector, restorer and masks of one configuration; good for any number of films.

    Sources are re-iterable: every iteration yields the film's frames from the start.
    execution: how its networks run; where it has none, how its tensors are worked on.
    Raises whatever LatentSyncError the configuration's parts raise while loading.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = StageTimer()
        self._restoring: RestoreStage | None = None
        with self.clock.stage("load"):
            self._load(config)

    def _load(self, config: Config) -> None:
        restores = config.restore.name.lower() != "none" and config.restore.when != "never"
        self._settled = restores and is_network(config.restore)
        self.execution = settle(config.runtime, networks=self._settled)
        self.restorer = (
            load_restorer(config.restore, self.execution, folders=config.weights.folders)
            if restores
            else None
        )
        licences.require(licences_wanted(config))
        self.detector = load_detector(
            config.face.detector,
            max_faces=config.face.max_faces,
            min_confidence=config.face.min_confidence,
        )
        self.region_mask = region_mask(config.restore.region)
        self.meter = SharpnessMeter(region_mask("mouth"), rest_mask())

    @cached_property
    def lipsync(self) -> LipSync:
        """Loaded when first asked for: restoring alone needs none of it."""
        with self.clock.stage("load"):
            if hears_whisper(self.config) and not self._settled:
                self.execution = settle(self.config.runtime, networks=True)
            return LipSync(self.config, self.execution)

    @cached_property
    def restore_batch(self) -> int:
        """Faces that are restored at once: restore.batch, or as many as the GPU has room for."""
        wanted, restorer, device = self.config.restore.batch, self.restorer, self.execution.device
        batched = device.type == "cuda" and self.execution.backend != "compile"
        if wanted or restorer is None or restorer.size is None or not batched:
            return wanted or FEW
        faces = torch.zeros(MANY, 3, restorer.size, restorer.size, device=device)
        return fitting_batch(lambda count: restorer(faces[:count]), most=MANY, device=device)

    @property
    def reused(self) -> int:
        """Frames of the last pass 2 that took an earlier one's restoration; see restore.reuse."""
        return 0 if self._restoring is None else self._restoring.reused

    def survey(
        self, source: Iterable[Frame], on_frame: Callable[[], None] = _ignore
    ) -> SourceAnalysis:
        """Pass 1 over a film. on_frame: called after each frame.

        Raises FaceNotFoundError when no frame holds a usable face.
        """
        return analyze_source(
            self._ahead(self.clock.timed("decode", source), "decode", "detect"),
            self.detector,
            self.meter,
            self.config.face,
            clock=self.clock,
            on_frame=on_frame,
        )

    def plan(self, survey: SourceAnalysis) -> FilmPlan:
        """What is to be restored where, from pass 1."""
        size = None if self.restorer is None else self.restorer.size
        return plan_film(survey, self.config.restore, size=size, region_mask=self.region_mask)

    def enhanced(
        self,
        source: Iterable[Frame],
        plan: FilmPlan,
        performance: Performance | None = None,
        teacher: Teacher | None = None,
        *,
        start: int = 0,
    ) -> Iterator[Enhanced]:
        """Pass 2: each output frame as it was and as it has become.

        source: the film's frames in the order of the plan's timeline, from output frame ``start``
        on, which must not lie inside a chunk; see plan.pieces and ordered(). performance: new
        speech, see perform(); None: the mouths that are there are restored. teacher: see
        teacher(); needed where the restorer learns.
        """
        for patched in self._patched(source, plan, performance, teacher, start):
            with self.clock.stage("composite"):
                made = self._compose(patched, plan)
            yield Enhanced(patched.frame, made.frame, made.changed, patched.restored)

    def frames(self, video: str | Path, *, audio: str | Path | None = None) -> Iterator[Frame]:
        """The finished film, frame by frame; both passes. audio: new speech, else none."""
        reader = VideoReader(video)
        plan = self.plan(self.survey(reader))
        if audio is None:
            teacher = self.teacher(plan, reader.info.path)
            return (item.after for item in self.enhanced(reader, plan, teacher=teacher))
        speech = self.lipsync.listen(Path(audio))
        plan = self.lipsync.lay_out(plan, reader.info, speech)
        performance = self.perform(plan, reader.info.path, speech)
        teacher = self.teacher(plan, reader.info.path, performance)
        source = ordered(reader, plan)
        return (item.after for item in self.enhanced(source, plan, performance, teacher))

    def perform(self, plan: FilmPlan, film: Path, speech: Speech) -> Performance:
        """What draws the mouths of a plan that has been laid out; see LipSync.perform."""
        with self.clock.stage("rehearse"):
            return self.lipsync.perform(plan, film, speech, self.survey)

    def teacher(
        self, plan: FilmPlan, film: Path, performance: Performance | None = None
    ) -> Teacher | None:
        """Who teaches the restorer; None where it does not learn.

        film: what the plan was made of. Raises ConfigError where the person's own mouth is not
        known, and MediaError and FaceNotFoundError for restore.reference.
        """
        if not isinstance(self.restorer, Fittable):
            return None
        generator = None if performance is None else performance.generator
        reference = self.config.restore.reference
        if reference is not None:
            survey = self.survey(VideoReader(reference))
            return Teacher(plan, Path(reference), survey, is_itself=False, generator=generator)
        if performance is None:
            raise ConfigError("restore.name", self.config.restore.name, NEEDS_REFERENCE)
        return Teacher(plan, film, plan.survey, is_itself=True, generator=generator)

    def _patched(
        self,
        source: Iterable[Frame],
        plan: FilmPlan,
        performance: Performance | None,
        teacher: Teacher | None,
        start: int,
    ) -> Iterator[PatchedFrame]:
        """Each stage in a thread of its own, the queue behind it long enough for all it gives."""
        frames = _stamped(self.clock.timed(REREAD, source), plan, start)
        decision: Decision
        patched: Iterator[PatchedFrame]
        if performance is None:
            patched, maker, most = (PatchedFrame(frame) for frame in frames), REREAD, AHEAD
            decision = AsPlanned(plan)
        else:
            heard = self._ahead(frames, REREAD, "generate")
            windows = self.lipsync.windows(plan, performance.speech, start)
            stage = self.lipsync.stage(plan, performance.generator)
            patched = stage(heard, windows, clock=self.clock)
            maker, most = "generate", performance.generator.chunk_frames
            decision = AgainstOwnMouth(plan, self.config.restore, self.meter)
        if self.restorer is not None:
            patched = self._ahead(patched, maker, "restore", most)
            config = replace(self.config.restore, batch=self.restore_batch)
            device = self.execution.device
            restore = RestoreStage(self.restorer, plan, config, device, decision, teacher)
            self._restoring = restore
            patched = restore(patched, clock=self.clock)
            maker, most = "restore", max(AHEAD, self.restore_batch)
        return self._ahead(patched, maker, "composite", most)

    def _compose(self, patched: PatchedFrame, plan: FilmPlan) -> Composed:
        if self.config.output.paste == "upstream":
            return compose_upstream(patched, plan.alignment(patched.frame.index))
        return compose(patched)

    def _ahead(
        self, items: Iterable[T], maker: str, taker: str, frames: int = AHEAD
    ) -> Iterator[T]:
        """What stage ``maker`` makes for stage ``taker``, in a thread of its own."""
        return linked(items, maker, taker, frames, clock=self.clock)


def ordered(
    reader: VideoReader, plan: FilmPlan, start: int = 0, stop: int | None = None
) -> Iterable[Frame]:
    """The film's frames as the plan's timeline shows them, from output frame start to stop."""
    if plan.timeline is None:
        return VideoReader(reader.info.path, start=start, stop=stop)
    return OrderedReader(reader.info.path, plan.timeline.source[start:stop])


def _stamped(frames: Iterator[Frame], plan: FilmPlan, start: int) -> Iterator[Frame]:
    """Numbered as output frames, with the timeline's times.

    Raises MediaError where there are more frames than pass 1 has seen.
    """
    line = plan.timeline
    seconds = None if line is None else line.seconds
    for i, frame in enumerate(frames, start):
        if i >= len(plan):
            what = "the film changed while it was read"
            raise MediaError(what, f"frame {i}", "run the command again")
        if line is None or seconds is None:
            yield frame
        else:
            yield replace(frame, index=i, pts=int(line.pts[i]), pts_seconds=float(seconds[i]))
