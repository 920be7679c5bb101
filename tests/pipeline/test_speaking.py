"""LR-ASD with weights made by rule, and what the decision gets from landmarks and audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.errors import CheckpointError
from latentsync.face import active_speaker
from latentsync.face.active_speaker import CONTEXT, MouthClips, windowed_mean
from latentsync.media.audio.reader import SAMPLE_RATE, read_audio
from latentsync.models.lr_asd import CROP, FRAME_REACH, LrAsd
from latentsync.pipeline.speaking import (
    LrAsdScorer,
    load_mouth_scorer,
    measure_speech,
    talking_face,
)
from latentsync.runtime.execution import REFERENCE
from latentsync.weights.manifest import LR_ASD
from tests.parity.filled import filled

SPEECH = Path(__file__).parents[2] / "assets" / "demo_speech.wav"
RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def network() -> LrAsd:
    return filled(LrAsd())


@pytest.fixture(scope="module")
def weights(network: LrAsd, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lr_asd") / LR_ASD.filename
    torch.save(network.state_dict(), path)
    return path


def crops(count: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, CROP, CROP), dtype=np.uint8)


def test_scores_are_the_network_s_away_from_the_ends(network: LrAsd, weights: Path) -> None:
    """At the ends the network pads what it has computed with zeros, the scorer repeats frames."""
    frames, cepstra = crops(60), RNG.normal(0, 10, (240, 13))
    tensors = torch.from_numpy(frames).float()[None], torch.from_numpy(cepstra).float()[None]
    with torch.no_grad():
        visual, audio = network.encode_frames(tensors[0]), network.encode_cepstra(tensors[1])
        activity = network.visual_logits(visual)[0, :, 1].numpy()

        def score(start: int, stop: int) -> np.ndarray:
            fused = network.fuse(visual[:, start:stop], audio[:, start:stop])
            return network.logits(fused)[0, :, 1].numpy()

        wanted = np.column_stack([windowed_mean(score, 60), activity])
    computed = LrAsdScorer(weights, REFERENCE)(frames, cepstra)
    inner = slice(FRAME_REACH, -FRAME_REACH)
    np.testing.assert_allclose(computed[inner, 1], wanted[inner, 1], atol=1e-4)
    assert np.abs(computed[:, 1] - wanted[:, 1]).max() > 1e-4
    inner = slice(25, 50)  # the scores of the first and last window depend on the ends
    np.testing.assert_allclose(computed[inner, 0], wanted[inner, 0], atol=0.05)


def test_blocks_do_not_show_in_the_scores(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With windows that divide a block, as all of them do."""
    assert CONTEXT == FRAME_REACH
    monkeypatch.setattr(active_speaker, "WINDOWS", (1, 2))
    frames = RNG.integers(0, 256, (113, 60, 60, 3), dtype=np.uint8)
    cepstra = RNG.normal(0, 10, (4 * len(frames), 13)).astype(np.float32)
    scorer, found = LrAsdScorer(weights, REFERENCE), []
    for block in (1500, 50):
        monkeypatch.setattr(active_speaker, "BLOCK", block)
        clips = MouthClips(scorer, cepstra)
        for number, frame in enumerate(frames):
            clips.add(frame, number / 25, {1: np.array([30.0, 30.0, 20.0])})
        found.append(clips.finish()[1][1])
    assert len(found[0]) == len(frames) and np.ptp(found[0], axis=0).min() > 0.01
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


def test_any_number_of_frames_is_scored(weights: Path) -> None:
    scorer = LrAsdScorer(weights, REFERENCE)
    for count in (1, 50, 51):
        scores = scorer(crops(count), np.zeros((4 * count, 13)))
        assert scores.shape == (count, 2) and np.isfinite(scores).all()


def test_without_weights_there_is_no_scorer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LATENTSYNC_CHECKPOINTS", raising=False)
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    assert load_mouth_scorer(REFERENCE) is None


def test_weights_of_another_network_are_an_error(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / LR_ASD.filename)
    with pytest.raises(CheckpointError, match="missing"):
        LrAsdScorer(tmp_path / LR_ASD.filename, REFERENCE)


def test_the_aperture_is_in_widths_of_the_face() -> None:
    landmarks = np.zeros((2, 11, 2), np.float32)
    landmarks[:, 6], landmarks[:, 7] = (40, 80), (70, 80)  # corners of the mouth
    landmarks[:, 8], landmarks[:, 9] = (55, 78), (55, 88)  # lips
    landmarks[1] *= 3
    boxes = np.array([[0, 0, 100, 130], [0, 0, 300, 390]], np.float32)
    face = talking_face(np.array([0.0, 0.04]), landmarks, boxes)
    np.testing.assert_allclose(face.aperture, 0.1, rtol=1e-6)
    np.testing.assert_allclose(face.width, 0.3, rtol=1e-6)
    assert face.scores is None and face.activity is None


def test_scores_and_activity_are_told_apart() -> None:
    scored = np.array([0.0, 0.04]), np.array([[1.0, 2.0], [3.0, 4.0]])
    face = talking_face(np.zeros(1), np.zeros((1, 11, 2)), np.ones((1, 4)), scored)
    assert face.scores is not None and face.activity is not None
    assert face.scores.tolist() == [1, 3] and face.activity.tolist() == [2, 4]


def test_speech_and_signals_have_the_same_instants() -> None:
    spoken = read_audio(SPEECH)[: 2 * SAMPLE_RATE]
    samples = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), spoken])
    speech = measure_speech([samples])
    assert speech.signals.shape == (300, 4) and speech.speech.shape == (300,)
    assert not speech.speech[:90].any() and speech.speech[100:].mean() > 0.5
