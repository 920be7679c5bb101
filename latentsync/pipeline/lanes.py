"""The speakers of a session: from the people of the video, or from a plan made before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from latentsync.face.people import Person
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.dialogue import Line
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.lane import Lane
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Source
from latentsync.pipeline.speakers import People
from latentsync.pipeline.who_speaks import SpeakingPeople, speaking_people
from latentsync.pipeline.workplace import Workplace
from latentsync.settings.schema import FaceConfig

LineOf = Callable[[Sequence[str], SourceAnalysis], Line | None]
"""What a speaker is named by, and the speaker's analysis -> the new speech, if any."""


def planned_lanes(shared: Workplace, plan: RenderPlan, line_of: LineOf) -> list[Lane]:
    """One for each speaker of the plan."""
    plans = [replace(one, others=()) for one in plan.speakers]
    return [Lane(shared, one.analysis, line_of(one.named, one.analysis), one) for one in plans]


def chosen_lanes(
    shared: Workplace, people: People, named: Sequence[str], line_of: LineOf
) -> list[Lane]:
    """One for each person that is named. named: values of face.speaker. Raises ConfigError."""
    lanes = []
    for speaker in people.speakers(named):
        analysis = people.video.of_person(speaker.person)
        line = line_of(speaker.choices, analysis)
        lanes.append(Lane(shared, analysis, line, speaker=speaker))
    return lanes


def joined(lanes: Sequence[Lane]) -> RenderPlan:
    """One plan of all speakers."""
    first, *others = (lane.plan for lane in lanes)
    return replace(first, others=tuple(others)) if others else first


def share_mouths(lanes: Sequence[Lane], others: Sequence[Lane]) -> None:
    """What does not depend on the restorers is that of another session, of the same people, speech
    and generator, which stays open for as long as this one."""
    for own, other in zip(lanes, others, strict=True):
        own.speech, own.generator, own.mouths = other.speech, other.generator, other.mouths
        own.closed_mouths = other.closed_mouths


@contextmanager
def keeping_mouths(lanes: Sequence[Lane]) -> Iterator[None]:
    """Some of the mouths that are generated meanwhile are not generated again."""
    speaking = [lane.mouths for lane in lanes if lane.line is not None]
    for mouths in speaking:
        mouths.keeping = True
    try:
        yield
    finally:
        for mouths in speaking:
            mouths.keeping = False


def people_of_video(
    engine: Engine,
    face: FaceConfig,
    video: VideoAnalysis,
    source: Source,
    check: Callable[[], None],
) -> People:
    """The people of an analyzed video. check: called during long work; may raise."""

    def find_speaking(people: Sequence[Person]) -> SpeakingPeople:
        return speaking_people(source, people, video.pts_seconds, engine.mouth_scorer, check)

    return People(
        video,
        (source.info.width, source.info.height),
        engine.embedding,
        lambda: engine.new_detector(face),
        find_speaking,
    )
