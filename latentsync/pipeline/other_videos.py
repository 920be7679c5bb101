"""Other videos that a session needs: a reference of the person, and footage to take mouths from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from latentsync.face.people import Person
from latentsync.generate.base import Footage
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import CancelFlag
from latentsync.pipeline.observation import Analyzer, VideoAnalysis
from latentsync.pipeline.source import CheckedSource, Source, footage_of, source_of
from latentsync.pipeline.speakers import People
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OtherVideos:
    """Each is analyzed once, on first use. people_of: of an analyzed video."""

    config: Config
    analyze: Analyzer
    people_of: Callable[[VideoAnalysis, Source], People]
    flag: CancelFlag
    _known: dict[str, tuple[People, Source]] = field(default_factory=dict)

    def reference(self, looks: Callable[[], np.ndarray]) -> tuple[Source, SourceAnalysis] | None:
        """The configured reference, analyzed: of the person in it who looks most like the speaker.

        looks: returns (n, 112, 112, 3) portraits of the speaker. None: there is no reference.
        """
        path = self.config.restore.reference
        if path is None:
            return None
        people, source = self._analyzed(path)
        if self.config.as_upstream:
            return source, people.video.of_largest()
        return source, people.video.of_person(self._most_like(people, looks(), path))

    def _most_like(self, people: People, looks: np.ndarray, path: str) -> Person:
        person, alike = people.most_like(looks)
        if not alike and len(people.all) > 1:
            logger.warning("%s: nobody in it is clearly the speaker: the largest is taken", path)
        return person

    def footage(self, path: str, looks: Callable[[], np.ndarray]) -> Footage:
        """Of the person in that video who looks most like the speaker. looks: see reference."""
        people, source = self._analyzed(path)
        person = people.all[0]
        if len(people.all) > 1:
            person = self._most_like(people, looks(), path)
        return footage_of(source, people.video.of_person(person), self.flag.check)

    def _analyzed(self, path: str) -> tuple[People, Source]:
        if path not in self._known:
            source = CheckedSource(source_of(path), self.flag.check)
            self._known[path] = self.people_of(self.analyze(source), source), source
        return self._known[path]
