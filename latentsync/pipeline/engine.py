"""The engine: a configuration made ready for work, and the two passes over a film.

engine = Engine(load_config("configs/demo.yaml"))
for frame in engine.frames(VideoReader("lipsynced.mp4")):
    ...  # frame.pixels: (H, W, 3) uint8 RGB
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from latentsync.face.composite import touched
from latentsync.face.detector import load_detector
from latentsync.face.masks import region_mask, rest_mask
from latentsync.pipeline.clock import Clock
from latentsync.pipeline.plan import FilmPlan, plan_film
from latentsync.pipeline.stages import RestoreStage, align, compose, compose_upstream
from latentsync.pipeline.stream import prefetch
from latentsync.pipeline.survey import Survey, survey_film
from latentsync.restore.base import load_restorer
from latentsync.restore.sharpness import SharpnessMeter
from latentsync.runtime.device import choose_device, limit_threads
from latentsync.schema import Config
from latentsync.types import Box, Frame, PatchedFrame

READ_AHEAD = 4  # frames decoded ahead of the work: 25 MB at 1080p


def _ignore() -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Enhanced:
    """A frame as it was and as it has become. changed: the part that may differ; None: nothing."""

    before: Frame
    after: Frame
    changed: Box | None


class Engine:
    """Detector, restorer and masks of one configuration; good for any number of films.

    Sources are re-iterable: every iteration yields the film's frames from the start.
    Raises whatever LatentSyncError the configuration's parts raise while loading.
    """

    def __init__(self, config: Config) -> None:
        limit_threads(config.runtime.threads)
        self.config = config
        self.device = choose_device(config.runtime.device)
        self.restorer = load_restorer(config.restore, self.device)
        self.detector = load_detector(
            config.face.detector,
            max_faces=config.face.max_faces,
            min_confidence=config.face.min_confidence,
        )
        self.region_mask = region_mask(config.restore.region)
        self.meter = SharpnessMeter(region_mask("mouth"), rest_mask())
        self.clock = Clock()

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
        return plan_film(
            survey, self.config.restore, size=self.restorer.size, region_mask=self.region_mask
        )

    def patched(self, source: Iterable[Frame], plan: FilmPlan) -> Iterator[PatchedFrame]:
        """Pass 2 up to the patches: frames with what is to be laid over them."""
        stage = RestoreStage(self.restorer, plan, self.config.restore, self.device)
        return stage(align(self._read(source), plan), clock=self.clock)

    def enhanced(self, source: Iterable[Frame], plan: FilmPlan) -> Iterator[Enhanced]:
        """Pass 2: each frame as it was and as it has become."""
        for patched in self.patched(source, plan):
            with self.clock.stage("composite"):
                after = self._compose(patched, plan)
                changed = touched(patched.frame, patched.patches)
            yield Enhanced(patched.frame, after, changed)

    def frames(self, source: Iterable[Frame]) -> Iterator[Frame]:
        """The enhanced film, frame by frame; both passes."""
        plan = self.plan(self.survey(source))
        return (item.after for item in self.enhanced(source, plan))

    def _compose(self, patched: PatchedFrame, plan: FilmPlan) -> Frame:
        if self.config.output.paste == "upstream":
            return compose_upstream(patched, plan.survey.alignments[patched.frame.index])
        return compose(patched)

    def _read(self, source: Iterable[Frame]) -> Iterator[Frame]:
        return prefetch(self.clock.timed("decode", source), READ_AHEAD)
