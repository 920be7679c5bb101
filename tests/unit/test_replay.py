"""A replay draws what it has rehearsed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.config import load_config
from latentsync.face.masks import upstream_mask
from latentsync.generate.base import Rehearsing, Script
from latentsync.generate.replay import Replay
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.footage import film_footage
from latentsync.schema import ReplayConfig
from latentsync.types import Chunk

FILM = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"


@pytest.fixture(scope="module")
def script() -> Script:
    """The film says its own words again, in chunks of 16."""
    survey = Engine(load_config()).survey(VideoReader(FILM))
    footage = film_footage(FILM, survey)
    sound = footage.sound()
    assert sound is not None
    frames = np.arange(len(footage.seconds))
    return Script(footage, footage, footage.seconds, frames, frames // 16, sound)


@pytest.fixture(scope="module")
def replay() -> Replay:
    return Replay(ReplayConfig(), upstream_mask(256), chunk_frames=16)


def chunk(script: Script, *frames: int) -> Chunk:
    crops = torch.stack(list(script.film.crops(np.array(frames), 256)))
    return Chunk(0, crops, torch.zeros(len(frames), 1, 1), np.array(frames))


def test_own_words_are_said_with_the_very_frames(script: Script) -> None:
    as_heard = Replay(ReplayConfig(silence_weight=0), upstream_mask(256), chunk_frames=16)
    generator = as_heard.rehearsed(script)
    given = chunk(script, 40, 41, 42)
    drawn = generator(given)
    assert drawn.shape == given.crops.shape
    assert (drawn - given.crops).abs().mean() < 2 / 127.5
    assert generator.facts["joins"] == 0


def test_a_chunk_filled_up_with_its_own_frames_gets_the_same_mouths(
    replay: Replay, script: Script
) -> None:
    drawn = replay.rehearsed(script)(chunk(script, 40, 41, 40))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_equal_scripts_give_equal_mouths(replay: Replay, script: Script) -> None:
    given = chunk(script, 3, 4)
    assert torch.equal(replay.rehearsed(script)(given), replay.rehearsed(script)(given))


def test_where_nobody_is_seen_nothing_is_rehearsed(replay: Replay, script: Script) -> None:
    nothing = replace(script, chunks=np.full(len(script.chunks), -1))
    assert isinstance(replay, Rehearsing)
    assert replay.rehearsed(nothing) is replay
    with pytest.raises(RuntimeError, match="rehearsed"):
        replay(chunk(script, 0))
