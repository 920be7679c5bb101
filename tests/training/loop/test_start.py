"""Start weights of LatentSync and of Stable Diffusion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.models.unet import UNet3DConditionModel
from latentsync.training.loop.start import start_unet

SMALL: dict[str, Any] = {
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock3D", "DownBlock3D"],
    "up_block_types": ["UpBlock3D", "CrossAttnUpBlock3D"],
    "cross_attention_dim": 384,
}
MOTION = "motion_modules."


def unet(**given: Any) -> UNet3DConditionModel:
    return UNet3DConditionModel(**SMALL | given)


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"global_step": 100, "state_dict": state}, path)
    return path


def test_a_checkpoint_of_the_same_network_is_taken_as_it_is(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in unet().state_dict().items()}
    network = unet()
    start = start_unet(network, saved(tmp_path / "a.pt", state))
    assert (start.step, start.said) == (100, ())
    found = network.state_dict()
    assert all(torch.equal(found[key], value.float()) for key, value in state.items())
    assert found["conv_in.weight"].dtype == torch.float32


def test_stage_2_begins_with_stage_1_and_no_attention_over_time(tmp_path: Path) -> None:
    state = unet(use_motion_module=False).state_dict()
    network = unet()
    start = start_unet(network, saved(tmp_path / "a.pt", state))
    assert len(start.said) == 1 and "attention over time" in start.said[0]
    found = network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    ends = [value for key, value in found.items() if MOTION in key and ".proj_out." in key]
    assert ends and not any(value.any() for value in ends)


def test_stable_diffusions_weights_lack_channels_and_the_audio(tmp_path: Path) -> None:
    text = unet(use_motion_module=False, in_channels=9, cross_attention_dim=768).state_dict()
    network = unet()
    initial = {key: value.clone() for key, value in network.state_dict().items()}
    start = start_unet(network, saved(tmp_path / "a.pt", text))
    assert [one.split(" ")[0] for one in start.said] == ["conv_in", "8", "attention"]
    found = network.state_dict()
    assert not found["conv_in.weight"].any() and not found["conv_in.bias"].any()
    assert torch.equal(found["conv_out.weight"], text["conv_out.weight"])
    audio = [key for key in found if ".attn2.to_k." in key or ".attn2.to_v." in key]
    assert len(audio) == 8 and all(torch.equal(found[key], initial[key]) for key in audio)
    assert torch.equal(found["time_embedding.linear_1.bias"], text["time_embedding.linear_1.bias"])


def test_from_nothing_the_ends_are_zero(tmp_path: Path) -> None:
    network = unet()
    assert start_unet(network, None).step == 0
    assert not network.conv_in.weight.any() and not network.conv_out.weight.any()
    assert network.state_dict()["time_embedding.linear_1.weight"].any()


def test_anything_else_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    state = dict(unet().state_dict())
    del state["time_embedding.linear_1.bias"]
    network = unet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"missing: time_embedding\.linear_1\.bias"):
        start_unet(network, saved(tmp_path / "a.pt", state))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
