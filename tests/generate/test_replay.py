"""A replay draws what it has selected for a request, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.face.masks import upstream_mask
from latentsync.generate.base import Footage, GenerationRequest, Preparing
from latentsync.generate.replay.generator import Replay
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import VideoFile, footage_of
from latentsync.settings.load import load_config
from latentsync.settings.schema import ReplayConfig
from latentsync.types import Chunk

VIDEO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"


def refuse(path: str) -> Footage:
    raise AssertionError(f"{path} is not asked for")


@pytest.fixture(scope="module")
def said() -> GenerationRequest:
    """The video says its own words again, in chunks of 16."""
    with Session(Engine(load_config()), VIDEO) as session:
        footage = footage_of(VideoFile(probe(VIDEO)), session.analyze())
    audio = footage.audio()
    assert audio is not None
    frames = np.arange(len(footage.seconds))
    chunks = frames // 16
    lengths = np.bincount(chunks).tolist()
    return GenerationRequest(
        footage, refuse, footage.seconds, frames, chunks, frames < 0, lengths, audio, lambda: None
    )


@pytest.fixture(scope="module")
def replay() -> Replay:
    return Replay(ReplayConfig(), upstream_mask(256), chunk_frames=16)


def chunk(said: GenerationRequest, *frames: int) -> Chunk:
    crops = torch.stack(list(said.video.crops(np.array(frames), 256)))
    return Chunk(0, crops, torch.zeros(len(frames), 1, 1), np.array(frames))


def test_self_reenactment_selects_the_original_frames(said: GenerationRequest) -> None:
    as_heard = Replay(ReplayConfig(silence_weight=0), upstream_mask(256), chunk_frames=16)
    generator = as_heard.prepare(said)
    given = chunk(said, 40, 41, 42)
    drawn = generator(given)
    assert drawn.shape == given.crops.shape
    assert (drawn - given.crops).abs().mean() < 2 / 127.5
    assert generator.facts["joins"] == 0


def test_a_padded_chunk_gets_the_same_mouths(replay: Replay, said: GenerationRequest) -> None:
    drawn = replay.prepare(said)(chunk(said, 40, 41, 40))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_equal_requests_give_equal_mouths(replay: Replay, said: GenerationRequest) -> None:
    given = chunk(said, 3, 4)
    assert torch.equal(replay.prepare(said)(given), replay.prepare(said)(given))


def test_without_a_face_nothing_is_prepared(replay: Replay, said: GenerationRequest) -> None:
    nothing = replace(said, chunks=np.full(len(said.chunks), -1))
    assert isinstance(replay, Preparing)
    assert replay.prepare(nothing) is replay
    with pytest.raises(RuntimeError, match="prepare"):
        replay(chunk(said, 0))
