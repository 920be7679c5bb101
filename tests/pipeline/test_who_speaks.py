"""When the people of a video speak: made-up people, and a stand-in for LR-ASD."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.people import Person
from latentsync.face.tracks import Track
from latentsync.media.probe import probe
from latentsync.pipeline.source import VideoFile
from latentsync.pipeline.who_speaks import MOST, SpeakingPeople, speaking_people
from tests.support.dubbing import dubbed
from tests.support.media_factory import make_video
from tests.support.sounds import RATE, words, write_audio

FRAMES = 50
SECONDS = np.arange(FRAMES) / 25
FACE = DetectedFace(
    np.full((len(LANDMARKS), 2), 30, np.float32), np.array([20, 20, 40, 40], np.float32), 1.0
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoFile:
    """2 s, whose audio, speech, is over after 1 s."""
    folder = tmp_path_factory.mktemp("who_speaks")
    frames = [np.full((64, 64, 3), 4 * number, np.uint8) for number in range(FRAMES)]
    silent = make_video(folder / "silent.mp4", frames)
    audio = write_audio(folder / "speech.wav", words()[:RATE])
    return VideoFile(probe(dubbed(silent, folder / "video.mp4", audio)))


def person(number: int, start: int = 0, stop: int = FRAMES) -> Person:
    track = Track(number, 0, start, (FACE,) * (stop - start))
    return Person(number, (track,), ((start / 25, stop / 25),), ())


class Scorer:
    """Scores nothing, and counts the frames that it got."""

    frames = 0

    def __call__(
        self, crops: np.ndarray, cepstra: np.ndarray, *, before: int = 0, after: int = 0
    ) -> np.ndarray:
        count = len(crops) - before - after
        self.frames += count
        return np.zeros((count, 2))


def spoken(source: VideoFile, people: list[Person], scorer: Scorer | None) -> SpeakingPeople:
    return speaking_people(source, people, SECONDS, scorer, lambda: None)


def test_who_is_seen_only_after_the_audio_s_end_does_not_switch_lr_asd_off(
    source: VideoFile,
) -> None:
    people = [person(1), person(2, start=35)]
    assert "LR-ASD" in spoken(source, people, Scorer()).evidence
    assert "LR-ASD" not in spoken(source, people, None).evidence


def test_who_is_hardly_seen_is_not_compared(source: VideoFile) -> None:
    scorer = Scorer()
    result = spoken(source, [person(1, stop=20), person(2, stop=8)], scorer)
    assert scorer.frames == 20
    assert result.spans[2] == [] and result.seconds[2] == 0


def test_those_who_are_seen_longest_are_compared(source: VideoFile) -> None:
    scorer = Scorer()
    people = [person(1, stop=13), *(person(number, stop=15) for number in range(2, MOST + 2))]
    result = spoken(source, people, scorer)
    assert scorer.frames == MOST * 15
    assert list(result.seconds) == list(result.spans) == [one.number for one in people]
    assert result.seconds[1] == 0


def test_the_speech_of_a_face_is_that_of_its_person(source: VideoFile) -> None:
    """Faces are compared in another order than people are numbered in."""
    still, moving = person(1, stop=40), person(2)
    faces = []
    for number in range(FRAMES):
        landmarks = FACE.landmarks.copy()
        landmarks[LANDMARKS.index("lip_lower"), 1] += 2 + 2 * np.sin(number)
        faces.append(replace(FACE, landmarks=landmarks))
    moving = replace(moving, tracks=(replace(moving.tracks[0], faces=tuple(faces)),))
    result = spoken(source, [still, moving], None)
    assert result.seconds[2] > 3 * result.seconds[1]
    assert result.spans[2] and not result.spans[1]
