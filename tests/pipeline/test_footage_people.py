"""A video's footage numbers its people: one over all shots, two where faces differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import VideoFile, footage_of
from latentsync.settings.load import load_config
from tests.support.media_factory import make_video
from tests.support.people import heads, put, room


def people_in(path: Path) -> list[int]:
    with Session(Engine(load_config()), path) as session:
        largest = session.observe().of_largest()
        return footage_of(VideoFile(probe(path)), largest).people().tolist()


def shot(person: int, wall: int, x: int, size: int, count: int = 10) -> list[np.ndarray]:
    frames = []
    for head in heads(count, person):
        frames.append(np.rot90(room(480, 480), wall).copy() // (1 + wall))
        put(frames[-1], head, x, 250, size)
    return frames


def test_a_person_keeps_the_number_across_cuts_and_another_gets_the_next(tmp_path: Path) -> None:
    frames = shot(0, 0, 240, 300) + shot(2, 1, 250, 380) + shot(0, 2, 200, 360)
    empty = [np.random.default_rng(0).integers(0, 255, (480, 480, 3)).astype(np.uint8)] * 10
    video = make_video(tmp_path / "a.mp4", frames + empty)
    assert people_in(video) == [0] * 10 + [1] * 10 + [0] * 10 + [-1] * 10


def test_the_footage_of_one_speaker_shows_one_person(tmp_path: Path, monkeypatch) -> None:
    """And no frame is read again for that."""
    monkeypatch.setattr("latentsync.pipeline.source.portrait", lambda *_: 1 / 0)
    frames = shot(0, 0, 240, 300) + shot(2, 1, 250, 380)
    video = make_video(tmp_path / "a.mp4", frames)
    with Session(Engine(load_config()), video) as session:
        footage = footage_of(VideoFile(probe(video)), session.analyze())
    assert footage.people().tolist() == [-1] * 10 + [0] * 10, "the larger one, of the second shot"
