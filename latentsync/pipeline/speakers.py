"""Which person of a video each speech, or the restoration, is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from latentsync.face.detector import FaceTracker
from latentsync.face.identity import Embedding, likeness, vectors_of
from latentsync.face.people import Person, people_of
from latentsync.face.speaker import Selection, choose, reference_portraits, shots_without
from latentsync.face.speaker_choice import ALL, parse_speaker
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.who_speaks import SpeakingPeople


@dataclass(frozen=True, slots=True, eq=False)
class Speaker:
    """A person whose mouth is processed. choices: the settings that named this person.

    uncertain: whether it was chosen as the one who speaks, and that is not clear.
    """

    choices: tuple[str, ...]
    selection: Selection
    uncertain: bool = False

    @property
    def person(self) -> Person:
        return self.selection.person


@dataclass(eq=False)
class People:
    """The people of one video. frame_size: (width, height).

    new_detector: for a picture of a person. find_speaking: when these people speak in the video's
    own audio, which takes a further pass over the video.
    """

    video: VideoAnalysis
    frame_size: tuple[int, int]
    embedding: Embedding
    new_detector: Callable[[], FaceTracker]
    find_speaking: Callable[[Sequence[Person]], SpeakingPeople]
    _selected: dict[str, Selection] = field(default_factory=dict)

    @cached_property
    def all(self) -> list[Person]:
        """By number."""
        video = self.video
        portraits = video.portraits.by_track(video.tracks)
        return people_of(video.tracks, portraits, video.pts_seconds, self.embedding)

    @cached_property
    def speaking(self) -> SpeakingPeople:
        """When each of them speaks in the video's own audio."""
        return self.find_speaking(self.all)

    @property
    def evidence(self) -> list[str] | None:
        """What tells who speaks; None: nobody has asked yet."""
        return list(self.speaking.evidence) if "speaking" in vars(self) else None

    def selected(self, setting: str) -> Selection:
        """The person that a value of face.speaker names. Raises ConfigError."""
        if setting not in self._selected:
            choice = parse_speaker(setting)
            reference = None
            if choice.picture is not None:
                reference = reference_portraits(choice.picture, self.new_detector())
            self._selected[setting] = choose(
                choice,
                self.all,
                frame_size=self.frame_size,
                cuts=self.video.cuts,
                seconds=self.video.pts_seconds,
                scores=self.speaking.seconds if choice.kind == "auto" else None,
                reference=reference,
                embedding=self.embedding,
            )
        return self._selected[setting]

    def speakers(self, settings: Sequence[str]) -> list[Speaker]:
        """One for each person that is named, in order. Raises ConfigError."""
        if any(parse_speaker(one).kind == ALL for one in settings):
            return self._everybody()
        named: dict[int, list[str]] = {}
        for setting in settings:
            named.setdefault(self.selected(setting).person.number, []).append(setting)
        speakers = []
        for given in named.values():
            automatic = any(parse_speaker(one).kind == "auto" for one in given)
            uncertain = automatic and self.speaking.uncertain
            speakers.append(Speaker(tuple(given), self.selected(given[0]), uncertain))
        return speakers

    def _everybody(self) -> list[Speaker]:
        """The largest first, face.max_faces at most."""
        video = self.video
        people = sorted(self.all, key=lambda one: -one.area)[: video.config.max_faces]
        return [
            Speaker((ALL,), Selection(one, shots_without(one, video.cuts, video.pts_seconds)))
            for one in people
        ]

    def most_like(self, looks: np.ndarray) -> tuple[Person, bool]:
        """The one of these people that looks most like a person of another video, and whether they
        are alike; where nobody is, the largest.

        looks: (n, 112, 112, 3) uint8 RGB, portraits of that person; n may be 0.
        """
        wanted = self.embedding(looks) if len(looks) else np.zeros((0, 0), np.float32)

        def rank(one: Person) -> tuple[float, float]:
            alike = likeness(wanted, vectors_of(one.portraits, self.embedding))
            known = alike is not None and alike >= self.embedding.different
            return (alike if known and alike is not None else -np.inf), one.area

        best = max(self.all, key=rank)
        return best, rank(best)[0] > -np.inf
