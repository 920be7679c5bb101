"""Audio tokens for training are those of the inference, and are kept by content and weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.errors import CheckpointError
from latentsync.speech.encoder import WhisperEncoder
from latentsync.speech.features import SpeechFeatures
from latentsync.training.data import speech
from latentsync.training.data.clip import read_samples
from latentsync.training.data.speech import WhisperSpeech, speech_of
from latentsync.training.settings.schema import UNetTraining
from tests.support.clips import make_clip

NO_MEL = np.empty((80, 0), np.float32)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which files were loaded; a small encoder with weights by a seed comes of each."""
    loaded: list[Path] = []

    def load(path: Path, _width: int, _device: torch.device) -> WhisperEncoder:
        loaded.append(path)
        torch.manual_seed(len(path.read_bytes()))
        return WhisperEncoder(n_state=16, n_head=2, n_layer=1).eval()

    monkeypatch.setattr(speech, "load_whisper", load)
    return loaded


def test_tokens_are_those_of_the_inference_and_computed_once(
    tmp_path: Path, loads: list[Path]
) -> None:
    clip, weights = make_clip(tmp_path / "clip.mp4"), tmp_path / "tiny.pt"
    weights.write_bytes(b"123")
    whisper = WhisperSpeech(weights, 384, tmp_path / "cache")
    encoder = speech.load_whisper(weights, 384, torch.device("cpu"))
    wanted = list(SpeechFeatures([read_samples(clip)], encoder).windows(25, start=20, stop=24))
    tokens = whisper.tokens(clip, NO_MEL, 20, 4)
    assert tokens.shape == (4, 20, 16) and tokens.dtype == torch.float32
    assert torch.allclose(tokens, torch.stack(wanted), atol=5e-3)  # kept in 16 bits
    first = whisper.tokens(clip, NO_MEL, 0, 2)  # at the beginning the first one is repeated
    assert torch.equal(first[0, 0], first[0, 2])
    assert len(loads) == 2
    elsewhere: WhisperSpeech = pickle.loads(pickle.dumps(whisper))
    assert torch.equal(elsewhere.tokens(clip, NO_MEL, 20, 4), tokens)
    assert len(loads) == 2  # from the cache


def test_other_weights_have_features_of_their_own(tmp_path: Path, loads: list[Path]) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    found = []
    for name in ("one", "other"):
        weights = tmp_path / f"{name}.pt"
        weights.write_bytes(name.encode())
        found.append(WhisperSpeech(weights, 384, tmp_path / "cache").features(clip))
    assert len(loads) == 2 and not np.array_equal(*found)


def test_weights_that_are_not_here_are_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="whisper"):
        speech_of(UNetTraining(), tmp_path)
