"""A replay shows the selected mouths, and is deterministic."""

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
    raise AssertionError(f"{path} must not be opened")


@pytest.fixture(scope="module")
def own_speech() -> GenerationRequest:
    """Self-reenactment in chunks of 16: the new speech is the video's own audio."""
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


def chunk(own_speech: GenerationRequest, *frames: int) -> Chunk:
    crops = torch.stack(list(own_speech.video.crops(np.array(frames), 256)))
    return Chunk(0, crops, torch.zeros(len(frames), 1, 1), np.array(frames))


def test_self_reenactment_selects_the_original_frames(own_speech: GenerationRequest) -> None:
    without_pauses = Replay(ReplayConfig(silence_weight=0), upstream_mask(256), chunk_frames=16)
    generator = without_pauses.prepare(own_speech)
    given = chunk(own_speech, 40, 41, 42)
    mouths = generator(given)
    assert mouths.shape == given.crops.shape
    assert (mouths - given.crops).abs().mean() < 2 / 127.5
    assert generator.facts["unit_joins"] == 0


def test_a_padded_chunk_gets_the_same_mouths(replay: Replay, own_speech: GenerationRequest) -> None:
    mouths = replay.prepare(own_speech)(chunk(own_speech, 40, 41, 40))
    assert torch.equal(mouths[0], mouths[2])
    assert not torch.equal(mouths[0], mouths[1])


def test_equal_requests_give_equal_mouths(replay: Replay, own_speech: GenerationRequest) -> None:
    given = chunk(own_speech, 3, 4)
    assert torch.equal(replay.prepare(own_speech)(given), replay.prepare(own_speech)(given))


def test_without_a_face_nothing_is_prepared(replay: Replay, own_speech: GenerationRequest) -> None:
    nothing = replace(own_speech, chunks=np.full(len(own_speech.chunks), -1))
    assert isinstance(replay, Preparing)
    assert replay.prepare(nothing) is replay
    with pytest.raises(RuntimeError, match="prepare"):
        replay(chunk(own_speech, 0))
