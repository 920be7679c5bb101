"""LR-ASD computes what the original does; its own weights, and for crops the clip, are needed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from latentsync.errors import CheckpointError
from latentsync.face.active_speaker import mouth_crop, smooth_squares, windowed_mean
from latentsync.models.lr_asd import LrAsd
from latentsync.pipeline.speaking import LrAsdScorer
from latentsync.runtime.execution import REFERENCE
from latentsync.speech.mfcc import mfcc
from latentsync.weights.find import find
from latentsync.weights.load import build
from latentsync.weights.manifest import LR_ASD
from tests.parity.rule import named_normal, published_shapes

KIND = "lr_asd"
TOLERANCE = 1e-4
CLIP = "woman_1080x1920_25fps.mp4"


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        return find(LR_ASD)
    except CheckpointError:
        pytest.skip(f"{LR_ASD.filename} is not here; LATENTSYNC_CHECKPOINTS names its folder")


@pytest.fixture(scope="module")
def network(weights: Path) -> LrAsd:
    return build(LrAsd, LR_ASD, weights, torch.device("cpu"))


@pytest.fixture
def golden(golden_file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(golden_file) as file:
        yield file


def test_the_network_has_the_published_keys_in_their_order() -> None:
    shapes = {key: tuple(value.shape) for key, value in LrAsd().state_dict().items()}
    assert list(shapes.items()) == list(published_shapes("lr_asd").items())


def equals(computed: object, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(computed)[0], wanted, rtol=0, atol=TOLERANCE)


def compare(network: LrAsd, golden: np.lib.npyio.NpzFile, part: str, *inputs: np.ndarray) -> None:
    frames, cepstra = (torch.from_numpy(array).float()[None] for array in inputs)
    with torch.no_grad():
        visual, audio = network.encode_frames(frames), network.encode_cepstra(cepstra)
        fused = network.fuse(visual, audio)
        equals(visual, golden[f"{part}_visual_embed"])
        equals(audio, golden[f"{part}_audio_embed"])
        equals(network.logits(fused), golden[f"{part}_logits_av"])
        equals(network.visual_logits(visual), golden[f"{part}_logits_v"])
        equals(network(frames, cepstra), golden[f"{part}_scores"])
        if f"{part}_fused" in golden:
            equals(fused, golden[f"{part}_fused"])


def test_random_frames_and_cepstra_give_the_original_s_results(
    network: LrAsd, golden: np.lib.npyio.NpzFile, golden_file: Path
) -> None:
    tag = golden_file.stem.removeprefix(KIND)
    noise = named_normal(f"lr_asd.faces{tag}", (25, 28, 28))
    faces = np.clip(np.round(128 + 50 * noise), 0, 255).astype(np.uint8)
    cepstra = 10 * named_normal(f"lr_asd.mfcc{tag}", (100, 13))
    compare(network, golden, "random", faces.repeat(4, axis=1).repeat(4, axis=2), cepstra)


def real(golden: np.lib.npyio.NpzFile) -> tuple[np.ndarray, np.ndarray]:
    """The frames that audio and video share, and their cepstra."""
    count = len(golden["real_scores"])
    return golden["real_crops"][:count], golden["real_mfcc"][: 4 * count]


def test_a_real_face_and_its_audio_give_the_original_s_results(
    network: LrAsd, golden: np.lib.npyio.NpzFile
) -> None:
    compare(network, golden, "real", *real(golden))


def test_the_mean_over_windows_is_the_original_s(
    network: LrAsd, golden: np.lib.npyio.NpzFile
) -> None:
    frames, cepstra = (torch.from_numpy(array).float()[None] for array in real(golden))

    def score(start: int, stop: int) -> np.ndarray:
        with torch.no_grad():
            return network(frames[:, start:stop], cepstra[:, 4 * start : 4 * stop])[0].numpy()

    mean = windowed_mean(score, frames.shape[1])
    np.testing.assert_allclose(mean, golden["real_scores_windows"], rtol=0, atol=TOLERANCE)


def test_encoding_each_frame_once_hardly_changes_the_scores(
    weights: Path, golden: np.lib.npyio.NpzFile
) -> None:
    """Windows then have no borders in the visual encoder; scores of speech are around 3."""
    scores = LrAsdScorer(weights, REFERENCE)(*real(golden))[:, 0]
    assert np.abs(scores - golden["real_scores_windows"]).max() < 1.0


def test_mfcc_of_real_audio_are_the_original_s(golden: np.lib.npyio.NpzFile) -> None:
    computed = mfcc(golden["real_wave"])
    np.testing.assert_allclose(computed, golden["real_mfcc"], rtol=0, atol=1e-9)


def test_crops_are_the_original_s(golden: np.lib.npyio.NpzFile, golden_file: Path) -> None:
    clip = golden_file.parent.parent / "clips" / CLIP
    if not clip.is_file():
        pytest.skip(f"{CLIP} is not beside the folder of golden files")
    squares = smooth_squares(golden["real_boxes"], beyond="constant")
    first = int(golden["real_first_frame"])
    with av.open(clip) as container:  # whose own conversion to RGB the golden crops are from
        frames = islice(container.decode(video=0), first, first + len(squares))
        for frame, square, wanted in zip(frames, squares, golden["real_crops"], strict=True):
            crop = mouth_crop(frame.to_ndarray(format="rgb24"), square)
            assert np.abs(crop.astype(int) - wanted).max() <= 1
