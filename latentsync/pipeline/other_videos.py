"""Other videos that a session needs: a reference of the person, and footage to take mouths from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from latentsync.generate.base import Footage
from latentsync.media.probe import probe
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import CancelFlag
from latentsync.pipeline.observation import Analyzer, VideoAnalysis
from latentsync.pipeline.source import CheckedSource, Source, VideoFile, footage_of
from latentsync.pipeline.speakers import People, Speaker
from latentsync.settings.schema import Config


@dataclass(frozen=True, slots=True, eq=False)
class OtherVideos:
    """Each is analyzed once, on first use. people_of: of an analyzed video."""

    config: Config
    analyze: Analyzer
    people_of: Callable[[VideoAnalysis, Source], People]
    flag: CancelFlag
    _known: dict[str, tuple[People, Source]] = field(default_factory=dict)

    def reference(self, speaker: Speaker | None) -> tuple[Source, SourceAnalysis] | None:
        """The configured reference, analyzed: of the person in it who looks most like the speaker;
        without a speaker, of the largest face of each frame. None: there is no reference."""
        path = self.config.restore.reference
        if path is None:
            return None
        people, source = self._analyzed(path)
        if speaker is None:
            return source, people.video.of_largest()
        return source, people.video.of_person(people.most_like(speaker.person))

    def footage(self, path: str) -> Footage:
        """Of the largest person in that video, who is taken to be the speaker."""
        people, source = self._analyzed(path)
        largest = people.video.of_person(people.selected("largest").person)
        return footage_of(source, largest, self.flag.check)

    def _analyzed(self, path: str) -> tuple[People, Source]:
        if path not in self._known:
            source = CheckedSource(VideoFile(probe(path)), self.flag.check)
            self._known[path] = self.people_of(self.analyze(source), source), source
        return self._known[path]
