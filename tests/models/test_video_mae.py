"""VideoMAE's encoder has the published keys, and takes files as they are published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from latentsync.errors import CheckpointError
from latentsync.models.video_mae import VideoMae, VideoMaeOptions
from latentsync.weights.load import build
from latentsync.weights.manifest import VIDEOMAE
from tests.parity.rule import published_shapes

TINY = VideoMaeOptions(side=28, width=16, depth=2, heads=2, hidden=32, classes=3)
CPU = torch.device("cpu")


def test_the_giant_has_the_published_keys_in_their_order() -> None:
    with torch.device("meta"):
        network = VideoMae()
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert list(shapes.items()) == list(published_shapes("videomaev2_giant").items())
    assert sum(value.numel() for value in network.parameters()) == 1_011_855_918


@pytest.mark.parametrize("wrapper", ["model", "module"])
def test_a_file_is_loaded_as_it_is_published(tmp_path: Path, wrapper: str) -> None:
    network, file = VideoMae(TINY), tmp_path / "vit.pth"
    nn.init.normal_(network.fc_norm.weight)
    state = network.state_dict()
    torch.save({wrapper: {key: value.half() for key, value in state.items()}}, file)
    loaded = build(lambda: VideoMae(TINY), VIDEOMAE, file, CPU)
    assert all(
        torch.equal(value, state[k].half().float()) for k, value in loaded.state_dict().items()
    )
    frames = torch.rand(1, 3, 16, 28, 28)
    torch.testing.assert_close(loaded(frames), network(frames), rtol=0, atol=0.02)
    del state["blocks.1.attn.v_bias"]
    torch.save({wrapper: state}, file)
    with pytest.raises(CheckpointError, match=r"missing: blocks\.1\.attn\.v_bias"):
        build(lambda: VideoMae(TINY), VIDEOMAE, file, CPU)


@torch.no_grad()
def test_features_tell_the_order_of_frames() -> None:
    network, frames = VideoMae(TINY), torch.rand(1, 3, 16, 28, 28)
    difference = (network(frames) - network(frames.flip(2))).abs().max()
    assert difference > 1e-4, "without its positions the encoder sees a heap of tokens"


def test_another_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match=r"VideoMAE takes .* not \(1, 3, 8, 28, 28\)"):
        VideoMae(TINY)(torch.zeros(1, 3, 8, 28, 28))
