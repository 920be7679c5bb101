"""Activations that are computed again: the same results and gradients with less memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from latentsync.models.recompute import recompute
from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.models.unet import UNet3DConditionModel
from latentsync.models.video_mae import VideoMae
from tests.models.test_video_mae import TINY
from tests.support.tiny_training import SYNCNET, UNET


def unet() -> tuple[nn.Module, tuple[Any, ...]]:
    network = UNet3DConditionModel(**UNET)
    for name, value in network.named_parameters():
        if "temporal_transformer.proj_out" in name:  # else motion modules are the identity
            nn.init.normal_(value, std=0.1)
    inputs = torch.randn(2, 13, 3, 8, 8), torch.tensor([3, 900]), torch.randn(6, 50, 48)
    return network, inputs


def syncnet() -> tuple[nn.Module, tuple[Any, ...]]:
    return StableSyncNet(SYNCNET), (torch.randn(2, 48, 16, 32), torch.randn(2, 1, 80, 52))


def video_mae() -> tuple[nn.Module, tuple[Any, ...]]:
    return VideoMae(replace(TINY, depth=8)), (torch.rand(1, 3, 16, 28, 28),)


NETWORKS = {"U-Net": unet, "StableSyncNet": syncnet, "VideoMAE": video_mae}


def gradients(network: nn.Module, inputs: tuple[Any, ...]) -> tuple[list[Tensor | None], int]:
    """Of all parameters, and the bytes that were kept for them beside the parameters."""
    kept: dict[int, int] = {}
    own = {value.data_ptr() for value in network.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        result = network(*inputs)
    parts = result if isinstance(result, tuple) else (result,)
    sum(part.square().sum() for part in parts).backward()
    found = [value.grad for value in network.parameters()]
    network.zero_grad(set_to_none=True)
    return found, sum(kept.values())


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_gradients_and_keys_are_the_same_and_less_is_kept(
    make: Callable[[], tuple[nn.Module, tuple[Any, ...]]],
) -> None:
    torch.manual_seed(1)
    network, inputs = make()
    keys = list(network.state_dict())
    plain, bytes_plain = gradients(network, inputs)
    recompute(network)
    again, bytes_again = gradients(network, inputs)
    recompute(network, False)
    _, bytes_off = gradients(network, inputs)
    for ours, theirs in zip(again, plain, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert bytes_again < bytes_plain / 2
    assert bytes_off == bytes_plain
    assert list(network.state_dict()) == keys


def test_inference_runs_each_layer_once_either_way() -> None:
    network, inputs = unet()
    with torch.no_grad():
        plain = network(*inputs)
        recompute(network)
        assert torch.equal(network(*inputs), plain)


def test_a_network_without_such_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear cannot compute"):
        recompute(nn.Linear(2, 2))
