"""A replay shows the selected mouths, and is deterministic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.face.masks import upstream_mask
from latentsync.generate.base import Footage, GenerationRequest, Partial, Preparing
from latentsync.generate.replay import fit
from latentsync.generate.replay.generator import Replay
from latentsync.generate.replay.lips import EYE_LEFT, EYE_RIGHT, NOSE_TIP
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import VideoFile, footage_of
from latentsync.settings.load import load_config
from latentsync.settings.schema import ReplayConfig
from latentsync.types import Chunk

VIDEO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"


def refuse(path: str) -> Footage:
    raise AssertionError(f"{path} must not be opened")


@pytest.fixture(scope="module")
def own_speech(talking: VideoAnalysis) -> GenerationRequest:
    """Self-reenactment in chunks of 16: the new speech is the video's own audio."""
    with Session(Engine(load_config()), VIDEO, observed=talking) as session:
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
    spoken = ~own_speech.video.audio().silent(own_speech.seconds)
    assert spoken.sum() > 90
    np.testing.assert_array_equal(generator._chosen.path[spoken], own_speech.source[spoken])
    (second, *_), *_ = generator.facts["units"][1:] or [(np.inf,)]
    assert second > own_speech.seconds[spoken][-1], "in silence all shut mouths fit as well"


def test_a_padded_chunk_gets_the_same_mouths(replay: Replay, own_speech: GenerationRequest) -> None:
    mouths = replay.prepare(own_speech)(chunk(own_speech, 40, 41, 40))
    assert torch.equal(mouths[0], mouths[2])
    assert not torch.equal(mouths[0], mouths[1])


def test_equal_requests_give_equal_mouths(replay: Replay, own_speech: GenerationRequest) -> None:
    given = chunk(own_speech, 3, 4)
    assert torch.equal(replay.prepare(own_speech)(given), replay.prepare(own_speech)(given))


def test_frames_that_nothing_fits_keep_their_mouth(
    replay: Replay, own_speech: GenerationRequest
) -> None:
    """The head is turned for 0.8 seconds, and at no other time."""
    video = own_speech.video
    turned = list(video.alignments)
    for frame in range(50, 70):
        one = turned[frame]
        assert one is not None
        points = one.landmarks.copy()
        points[NOSE_TIP, 0] += 0.4 * np.ptp(points[[EYE_LEFT, EYE_RIGHT], 0])
        turned[frame] = replace(one, landmarks=points)
    generator = replay.prepare(replace(own_speech, video=replace(video, alignments=turned)))
    assert isinstance(generator, Partial)
    shown = generator.shown(np.arange(127))
    np.testing.assert_array_equal(np.flatnonzero(shown == 0), np.arange(50, 70))
    assert 0 < shown[49] < 1 and 0 < shown[70] < 1 and shown[10] == shown[100] == 1
    given = chunk(own_speech, 45, 60)
    mouths = generator(given)
    assert torch.equal(mouths[1], given.crops[1]) and not torch.equal(mouths[0], given.crops[0])
    facts = generator.facts
    assert facts["frames_without_unit"] == 20
    assert facts["spans_without_unit"] == [[2.0, 2.76]]


def test_where_nothing_fits_at_all_every_frame_keeps_its_mouth(
    replay: Replay, own_speech: GenerationRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "CHEEKS_LIMIT", -1.0)
    generator = replay.prepare(own_speech)
    assert not generator.shown(np.arange(127)).any()
    given = chunk(own_speech, 3, 4)
    assert torch.equal(generator(given), given.crops)
    assert generator.facts["frames_without_unit"] == 127 and generator.facts["units"] == []


def test_without_a_face_nothing_is_prepared(replay: Replay, own_speech: GenerationRequest) -> None:
    nothing = replace(own_speech, chunks=np.full(len(own_speech.chunks), -1))
    assert isinstance(replay, Preparing)
    assert replay.prepare(nothing) is replay
    with pytest.raises(RuntimeError, match="prepare"):
        replay(chunk(own_speech, 0))
