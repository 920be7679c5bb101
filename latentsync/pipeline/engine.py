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

from latentsync.errors import ConfigError, MediaError
from latentsync.face.composite import touched
from latentsync.face.detector import load_detector
from latentsync.face.masks import region_mask, rest_mask
from latentsync.media.ordered import OrderedReader
from latentsync.media.reader import VideoReader
from latentsync.pipeline.clock import Clock
from latentsync.pipeline.compose import compose, compose_upstream
from latentsync.pipeline.decide import AgainstOwnMouth, AsPlanned, Decision
from latentsync.pipeline.lipsync import LipSync, Performance, Speech
from latentsync.pipeline.needs import licences_wanted
from latentsync.pipeline.plan import FilmPlan, plan_film
from latentsync.pipeline.restoration import RestoreStage
from latentsync.pipeline.stream import prefetch
from latentsync.pipeline.survey import Survey, survey_film
from latentsync.pipeline.teacher import Teacher
from latentsync.restore.base import Fittable, load_restorer
from latentsync.restore.sharpness import SharpnessMeter
from latentsync.runtime.device import choose_device, limit_threads
from latentsync.schema import Config
from latentsync.types import Box, Frame, PatchedFrame
from latentsync.weights import licences

NEEDS_REFERENCE = "it learns from the original film; name it with --reference"
READ_AHEAD = 4  # frames decoded ahead of the work: 25 MB at 1080p


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
    Raises whatever LatentSyncError the configuration's parts raise while loading.
    """

    def __init__(self, config: Config) -> None:
        limit_threads(config.runtime.threads)
        self.config = config
        self.device = choose_device(config.runtime.device)
        restores = config.restore.name.lower() != "none" and config.restore.when != "never"
        self.restorer = (
            load_restorer(config.restore, self.device, folders=config.weights.folders)
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
        self.clock = Clock()

    @cached_property
    def lipsync(self) -> LipSync:
        """Loaded when first asked for: restoring alone needs none of it."""
        return LipSync(self.config, self.device)

    def survey(self, source: Iterable[Frame], on_frame: Callable[[], None] = _ignore) -> Survey:
        """Pass 1 over a film. on_frame: called after each frame.

        Raises FaceNotFoundError when no frame holds a usable face.
        """
        return survey_film(
            self._read(source),
            self.detector,
            self.meter,
            self.config.face,
            clock=self.clock,
            on_frame=on_frame,
        )

    def plan(self, survey: Survey) -> FilmPlan:
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
                after = self._compose(patched, plan)
                changed = touched(patched.frame, patched.patches)
            yield Enhanced(patched.frame, after, changed, patched.restored)

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
        frames = _stamped(self._read(source), plan, start)
        decision: Decision
        patched: Iterator[PatchedFrame]
        if performance is None:
            patched = (PatchedFrame(frame) for frame in frames)
            decision = AsPlanned(plan)
        else:
            windows = self.lipsync.windows(plan, performance.speech, start)
            stage = self.lipsync.stage(plan, performance.generator)
            patched = stage(frames, windows, clock=self.clock)
            decision = AgainstOwnMouth(plan, self.config.restore, self.meter)
        if self.restorer is None:
            return patched
        restore = RestoreStage(
            self.restorer, plan, self.config.restore, self.device, decision, teacher
        )
        return restore(patched, clock=self.clock)

    def _compose(self, patched: PatchedFrame, plan: FilmPlan) -> Frame:
        if self.config.output.paste == "upstream":
            return compose_upstream(patched, plan.alignment(patched.frame.index))
        return compose(patched)

    def _read(self, source: Iterable[Frame]) -> Iterator[Frame]:
        return prefetch(self.clock.timed("decode", source), READ_AHEAD)


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
