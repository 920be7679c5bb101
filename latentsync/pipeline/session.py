"""A session: one video, from the analysis to the finished frames. The recipe stands here.

with Session(engine, "video.mp4", audio="speech.wav") as session:
    session.analyze(progress)           # faces, tracks, cuts, sharpness, widths of edges
    session.preview([10, 50])           # before and after of some output frames
    for frame in session.frames(): ...  # the finished video, frame by frame
    session.render("out.mp4", progress) # the finished file, and its report
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from latentsync.errors import ConfigError
from latentsync.face.detector import FaceTracker
from latentsync.face.masks import region_mask, rest_mask
from latentsync.face.speaker_choice import ALL
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import CancelFlag
from latentsync.pipeline.dialogue import Dialogue, Line
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.lane import Lane
from latentsync.pipeline.lanes import chosen_lanes, joined, people_of_video, planned_lanes
from latentsync.pipeline.observation import Analyzer, VideoAnalysis
from latentsync.pipeline.other_videos import OtherVideos
from latentsync.pipeline.placed_speech import PlacedSpeech
from latentsync.pipeline.planning.checks import check_plan, check_speakers
from latentsync.pipeline.planning.layout import lead_in
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.preview import Preview
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.rendering import rendered
from latentsync.pipeline.requirements import NEEDS_REFERENCE, restores
from latentsync.pipeline.source import CheckedSource, Source, is_file, remember, source_of
from latentsync.pipeline.speakers import People
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered, render
from latentsync.pipeline.workplace import Workplace
from latentsync.restoration.base import Fittable, Steadiable
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.runtime.execution import Execution
from latentsync.settings.schema import Config
from latentsync.types import Frame

if TYPE_CHECKING:
    from latentsync.pipeline.output import Output
    from latentsync.pipeline.writing import Observer, WriteFrames


class Session:
    """One video, and its new speech, if any; used by one thread at a time.

    video: a file, probed or not, or a Source. audio: an audio or video file, placed or not, or what
    several people say; None: the speech of config.speakers or, where there is none, the mouths in
    the video are restored. plan: made by another session of the same video, speech and
    configuration; see planning.plan_file. config: of this video; it may differ from the engine's in
    settings that no loaded model depends on.
    detector: one that no other session uses meanwhile; None: a new one. observed: pass 1 of this
    video with these settings of faces; None: it is run. Raises MediaError: not readable;
    ConfigError: plan or settings do not fit, or Self has no original video; what the detector does.
    """

    def __init__(
        self,
        engine: Engine,
        video: str | Path | VideoInfo | Source,
        *,
        audio: str | Path | PlacedSpeech | Dialogue | None = None,
        plan: RenderPlan | None = None,
        config: Config | None = None,
        detector: FaceTracker | None = None,
        observed: VideoAnalysis | None = None,
    ) -> None:
        self.engine, self.config = engine, config or engine.config
        engine.check_fits(self.config)
        source = source_of(video)
        self._flag = CancelFlag(f"the session of {source.info.path}")
        self.source: Source = CheckedSource(source, self._flag.check)
        self._read, self.reads_file = source, is_file(source)
        if audio is None and self.config.speakers:
            audio = Dialogue(self.config, source.info)
        if isinstance(audio, str | Path):
            audio = PlacedSpeech(self.config, source.info, Path(audio))
        self.new_speech = audio
        self.dialogue = audio if isinstance(audio, Dialogue) else None
        self.timer = StageTimer()
        if plan is not None:
            check_plan(plan, source.info, speech=self.speaks)
            named = None if self.dialogue is None else self.dialogue.speakers
            check_speakers(plan, named)
        fits = isinstance(engine.restorer, Fittable) and restores(self.config)
        if fits and not self.speaks and self.config.restore.reference is None:
            raise ConfigError("restore.name", self.config.restore.name, NEEDS_REFERENCE)
        self._given_plan, self._plan = plan, plan
        if plan is not None:
            remember(source, plan.analysis)
        self._video = observed
        self._open: WeakSet[Generator[Rendered, None, None]] = WeakSet()
        meter = SharpnessMeter(region_mask("mouth"), rest_mask())
        with self.timer.stage(Stage.LOAD):
            detector = detector or engine.new_detector(self.config.face)
        watches = self.config.face.occlusion == "auto" and not self.config.as_upstream
        new_watch = engine.new_watch if watches else None
        self._analyze = Analyzer(detector, meter, self.config.face, self.timer, new_watch)
        self._shared = Workplace(
            engine,
            self.config,
            self.source,
            self.timer,
            self._flag,
            meter,
            OtherVideos(self.config, self._analyze, self._people_of, self._flag),
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_error: object) -> None:
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

    @property
    def speaks(self) -> bool:
        """Whether mouths are generated for new speech."""
        return self.new_speech is not None

    @property
    def audio(self) -> Path | None:
        """The new soundtrack: the speech, or a mix; None: the video's own."""
        return None if self.new_speech is None else self.new_speech.soundtrack

    def analyze(self, progress: Progress = no_progress) -> SourceAnalysis:
        """Runs pass 1, once: faces, tracks, cuts, sharpness and widths of edges of the source.

        Returns the analysis of the first speaker. Raises FaceNotFoundError where no frame holds a
        usable face, ConfigError where there is no such speaker, MediaError and Cancelled.
        """
        if self._given_plan is None:
            self.observe(progress)
        return self.lanes[0].analysis

    def observe(self, progress: Progress = no_progress) -> VideoAnalysis:
        """Runs pass 1, once, without choosing anybody. Raises as analyze does."""
        if self._video is None:
            with progress("detecting faces", self.source.info.frame_count) as step:
                self._video = self._analyze(self.source, step)
        return self._video

    @cached_property
    def lanes(self) -> list[Lane]:
        """The speakers, each with what is decided and prepared for it. Raises as analyze does."""
        if self._given_plan is not None:
            return planned_lanes(self._shared, self._given_plan, self._line)
        if self.config.as_upstream:
            largest = self.observe().of_largest()
            return [Lane(self._shared, largest, self._line((), largest))]
        return chosen_lanes(self._shared, self.people, self._named, self._line)

    @cached_property
    def people(self) -> People:
        """The people seen in the video."""
        return self._people_of(self.observe(), self.source)

    def make_plan(self, progress: Progress = no_progress) -> RenderPlan:
        """Makes every decision about every output frame, once.

        With new speech some chunks are generated for it, and measured. Raises as analyze does, and
        a LatentSyncError where the generator cannot be used with this video or speech.
        """
        if self._plan is None:
            if self.speaks:
                self.engine.lipsync  # noqa: B018  its errors are raised before the long work
            self.analyze(progress)
            for lane in self.lanes:
                lane.decide(progress)
            self._plan = joined(self.lanes)
            remember(self._read, self._plan.analysis)
        return self._plan

    @property
    def plan(self) -> RenderPlan:
        return self.make_plan()

    def preview(self, indices: Sequence[int]) -> list[Preview]:
        """Those output frames as the whole run would render them; only their chunks are generated.
        Raises ConfigError: there is no such frame.
        """
        for index in indices:
            if not 0 <= index < len(self.plan):
                remedy = f"the output has the frames 0 to {len(self.plan) - 1}"
                raise ConfigError("no such output frame", index, remedy)
        needed = {i for index in indices for i in range(self._from(index), index + 1)}
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
        observers: Sequence[Observer] = (),
        write: WriteFrames | None = None,
    ) -> dict[str, Any]:
        """Writes the finished file, and its report beside it. Returns the report.

        target: the file, or the result of check_output. command: the command line, for the report.
        observers: look at each finished frame; not called where no frame was changed.
        write: see pipeline.segments.render; None: all frames are written in one go.

        Raises as make_plan does, ConfigError and MediaError where the file cannot be written, or
        exists already (output.overwrite). After an error all files are as before.
        """
        from latentsync.pipeline.writing import write_video  # it imports this module

        path = Path(target) if isinstance(target, str) else target
        return write_video(self, path, progress, command=command, observers=observers, write=write)

    def rendered(self, start: int = 0, stop: int | None = None) -> Generator[Rendered, None, None]:
        """As frames(), each frame with its changes."""
        start, stop = max(start, 0), len(self.plan) if stop is None else min(stop, len(self.plan))
        for item in self._rendered(np.arange(self._from(start), stop)):
            if start <= item.index < stop:
                yield item
        self._flag.check()  # close() ends the loop early

    def as_filmed(self, stop: int) -> Iterator[Rendered]:
        """The first output frames, nothing changed."""
        return map(render, self._shared.reader(self.plan, np.arange(stop)))

    @property
    def execution(self) -> Execution:
        """Device, backend and dtype of this session's networks."""
        return self.engine.lipsync.execution if self.speaks else self.engine.execution

    @property
    def _named(self) -> list[str]:
        """Values of face.speaker: whose mouths are processed."""
        if self.dialogue is not None:
            return self.dialogue.speakers
        whole = self.source.info.picture is not None and not self.speaks
        return [self.config.face.speaker or (ALL if whole else "largest")]

    def _line(self, named: Sequence[str], analysis: SourceAnalysis) -> Line | None:
        """The new speech of the speaker that is named so; None: there is none."""
        if self.new_speech is None:
            return None
        return self.new_speech.line(named, analysis.end(self.source.info.average_rate))

    def _rendered(self, indices: np.ndarray) -> Generator[Rendered, None, None]:
        """indices: of output frames, rising."""
        self.make_plan()
        stages = [lane.stages(indices) for lane in self.lanes]
        running = rendered(stages, self._shared.reader, indices)
        self._open.add(running)
        return running

    def _from(self, start: int) -> int:
        """The output frame that the stages have to begin with for those from start on."""
        if all(lane.restorers is None for lane in self.lanes):
            return start
        keeps_codes = isinstance(self.engine.restorer, Steadiable)
        return lead_in(start, self.config.restore, keeps_codes=keeps_codes)

    def _people_of(self, video: VideoAnalysis, source: Source) -> People:
        return people_of_video(self.engine, self.config.face, video, source, self._flag.check)
