"""SyncNet computes the embeddings, and from them the figures, that the original does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentsync.evaluate.sync.distances import (
    confidence,
    confidence_over_time,
    distances,
    least_distance,
    mean_curve,
    offset,
    padded,
)
from latentsync.models.syncnet import CEPSTRA_PER_FRAME, FRAMES, SyncNet
from latentsync.runtime import openvino
from latentsync.runtime.execution import REFERENCE
from latentsync.speech.mfcc import mfcc
from tests.parity.filled import filled
from tests.parity.rule import published_shapes

KIND = "syncnet_eval"
RELATIVE = 1e-4  # of the largest value; 1e-6 is seen
CONFIDENCE = 1e-2  # it is a small difference of large float32 distances upstream


@pytest.fixture(scope="module")
def network() -> SyncNet:
    with torch.device("meta"):
        network = SyncNet()
    return filled(network)


@pytest.fixture
def golden(golden_file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(golden_file) as file:
        yield file


def test_the_network_has_the_published_keys_in_their_order() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in SyncNet().state_dict().items()}
    assert list(shapes.items()) == list(published_shapes("syncnet_eval").items())


def equals(computed: Tensor, wanted: np.ndarray) -> None:
    allowed = RELATIVE * np.abs(wanted).max()
    np.testing.assert_allclose(computed.numpy(), wanted, rtol=0, atol=allowed)


def video(golden: np.lib.npyio.NpzFile) -> Tensor:
    """(3, T, 224, 224) float32 BGR, of the frames that the audio lasts for."""
    count = len(golden["lip_embed"]) + FRAMES
    frames = golden["frames28"][:count].repeat(8, axis=1).repeat(8, axis=2)
    return torch.from_numpy(frames).permute(3, 0, 1, 2).float()


def windows(golden: np.lib.npyio.NpzFile) -> range:
    return range(len(golden["lip_embed"]))


def test_embeddings_of_lips_are_the_original_s(
    network: SyncNet, golden: np.lib.npyio.NpzFile
) -> None:
    """Some windows alone, and the first ones in one run: each costs as much as the others."""
    frames = video(golden)
    few = list(windows(golden))[::12]
    with torch.no_grad():
        alone = network.lips(torch.stack([frames[:, v : v + FRAMES] for v in few]))
        equals(alone, golden["lip_embed"][few])
        run = network.lips_of_run(frames[:, :-1][:, : FRAMES + 7])
        equals(run, golden["lip_embed"][: len(run)])


def test_openvino_s_embeddings_of_lips_are_the_original_s(
    network: SyncNet, golden: np.lib.npyio.NpzFile
) -> None:
    class Run(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            return network.lips_of_run(frames)

    frames = video(golden)[:, : FRAMES + 1]
    execution = replace(REFERENCE, backend="openvino", threads=1)
    graph = openvino.Graph(openvino.convert(Run(), [frames]), [frames], execution, torch.float32)
    equals(graph(frames)[0], golden["lip_embed"][:2])


def test_embeddings_of_audio_are_the_original_s(
    network: SyncNet, golden: np.lib.npyio.NpzFile
) -> None:
    cepstra = torch.from_numpy(mfcc(golden["wave"])).T.float()
    starts = [CEPSTRA_PER_FRAME * v for v in windows(golden)]
    batch = torch.stack([cepstra[None, :, t : t + CEPSTRA_PER_FRAME * FRAMES] for t in starts])
    with torch.no_grad():
        equals(network.audio(batch), golden["audio_embed"])


@pytest.mark.parametrize(
    ("part", "lips", "audio"),
    [("", "lip_embed", "audio_embed"), ("pair_", "pair_video", "pair_audio")],
)
def test_offset_distance_and_confidence_are_the_original_s(
    golden: np.lib.npyio.NpzFile, part: str, lips: str, audio: str
) -> None:
    rows = distances(golden[lips], padded(golden[audio]))
    curve = mean_curve(rows)
    if part:
        np.testing.assert_allclose(rows, golden["pair_dists"], rtol=RELATIVE)
    np.testing.assert_allclose(curve, golden[f"{part}mean_dists"], rtol=RELATIVE)
    assert offset(curve) == golden[f"{part}offset"]
    assert least_distance(curve) == pytest.approx(float(golden[f"{part}min_dist"]), rel=RELATIVE)
    wanted = float(golden[f"{part}confidence"])
    assert confidence(curve) == pytest.approx(wanted, abs=CONFIDENCE)
    over_time = golden[f"{part}framewise_confidence"]
    np.testing.assert_allclose(confidence_over_time(rows), over_time, rtol=0, atol=CONFIDENCE)
