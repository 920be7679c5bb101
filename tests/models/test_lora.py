"""A LoRA begins as nothing, trains alone, and merged weights compute what it computes."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError, ConfigError
from latentsync.models.lora import (
    TARGETS,
    check_fits,
    inject,
    load_lora_state,
    lora_state,
    merged,
    target_layers,
)
from latentsync.models.unet import UNet3DConditionModel
from tests.parity.filled import filled
from tests.support.tiny_latentsync import MODEL

RANK, ALPHA = 4, 2.0
FLOAT32 = 1e-5  # of results of about 1: sums in another order

Inputs = tuple[Tensor, Tensor, Tensor]


@cache
def made(text: str) -> UNet3DConditionModel:
    return filled(UNet3DConditionModel(**json.loads(text)))


def unet(**changes: Any) -> UNet3DConditionModel:
    return copy.deepcopy(made(json.dumps(MODEL | changes)))


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    g = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 13, 2, 8, 8, generator=g)
    return sample, torch.tensor([300.0]), torch.randn(2, 4, 384, generator=g)


@torch.no_grad()
def output(network: nn.Module, inputs: Inputs) -> Tensor:
    return network(*inputs)


def randomly(network: nn.Module) -> nn.Module:
    """As if it had been trained: larger, and attention saturates, which magnifies rounding."""
    g = torch.Generator().manual_seed(1)
    state = lora_state(network)
    load_lora_state(network, {k: 0.2 * torch.randn(v.shape, generator=g) for k, v in state.items()})
    return network


def test_at_the_start_the_output_is_unchanged_bit_for_bit(inputs: Inputs) -> None:
    network = unet()
    before = output(network, inputs)
    inject(network, RANK, ALPHA)
    assert torch.equal(output(network, inputs), before)


def test_only_a_lora_trains_and_the_weights_keep_their_keys(inputs: Inputs) -> None:
    network = unet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    parameters = inject(network, RANK, ALPHA)
    assert [p for p in network.parameters() if p.requires_grad] == parameters
    first = None
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    target = output(network, inputs) + 0.3 * torch.sin(torch.arange(8.0))
    for _ in range(8):
        optimizer.zero_grad()
        loss = (network(*inputs) - target).square().mean()
        loss.backward()
        optimizer.step()
        first = first or loss.item()
    assert loss.item() < 0.8 * first
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert after.keys() - before.keys() == lora_state(network).keys()


def test_merged_weights_compute_what_the_lora_computes(inputs: Inputs) -> None:
    plain, network = unet(), unet()
    inject(network, RANK, ALPHA)
    randomly(network)
    weights = merged(plain.state_dict(), lora_state(network), 1.0 * ALPHA / RANK)
    before = output(plain, inputs)
    plain.load_state_dict(weights, assign=True)
    merged_output, wanted = output(plain, inputs), output(network, inputs)
    scale = wanted.abs().max()
    assert (wanted - before).abs().max() > 0.01 * scale, "the LoRA changes something"
    torch.testing.assert_close(merged_output / scale, wanted / scale, rtol=0, atol=FLOAT32)


def test_strength_0_is_without_it_bit_for_bit() -> None:
    network = unet()
    weights = network.state_dict()
    inject(network, RANK, ALPHA)
    randomly(network)
    same = merged(weights, lora_state(network), 0.0)
    assert all(same[key] is value for key, value in weights.items())


def test_merging_leaves_the_dtype_and_rounds_once() -> None:
    g = torch.Generator().manual_seed(2)
    half = torch.randn(6, 5, generator=g).bfloat16()
    state = {
        "x.lora_A.weight": torch.randn(2, 5, generator=g),
        "x.lora_B.weight": torch.randn(6, 2, generator=g),
    }
    made = merged({"x.weight": half}, state, 0.5)["x.weight"]
    added = 0.5 * (state["x.lora_B.weight"].double() @ state["x.lora_A.weight"].double())
    assert torch.equal(made, (half.double() + added).bfloat16())


def test_the_matrices_are_the_same_for_a_seed_whatever_else_is_random() -> None:
    states = []
    for seed, other in ((1, 7), (1, 8), (2, 7)):
        torch.manual_seed(other)
        network = unet()
        inject(network, RANK, ALPHA, seed=seed)
        states.append(lora_state(network))
    first, same, another = states
    key = next(key for key in first if "lora_A" in key)
    assert torch.equal(first[key], same[key]) and not torch.equal(first[key], another[key])


def test_targets_are_parts_of_names_as_in_trainable_modules() -> None:
    names = target_layers(unet(), ("attn2.",))
    assert names and all(".attn2." in name for name in names)
    kinds = {name.split(".")[-2 if name.endswith(".0") else -1] for name in names}
    assert kinds == {"to_q", "to_k", "to_v", "to_out"}
    with pytest.raises(ConfigError, match=r"meant by: attn7\.; use"):
        inject(unet(), RANK, ALPHA, ("attn2.", "attn7."))


def test_a_second_lora_is_refused() -> None:
    network = unet()
    inject(network, RANK, ALPHA)
    with pytest.raises(ConfigError, match="has a LoRA already"):
        inject(network, RANK, ALPHA)


def state_of(**changes: Any) -> dict[str, Tensor]:
    network = unet(**changes)
    inject(network, RANK, ALPHA)
    return lora_state(network)


@pytest.mark.parametrize(
    ("changes", "rank", "message"),
    [
        ({"block_out_channels": [32, 96]}, RANK, "wrong shape: "),
        ({"layers_per_block": 2}, RANK, "unexpected: "),
        ({"motion_module_decoder_only": True}, RANK, "missing: "),
        ({}, RANK + 1, "wrong shape: "),
    ],
)
def test_the_lora_of_another_u_net_or_rank_is_refused(
    changes: dict[str, Any], rank: int, message: str
) -> None:
    state = state_of(**changes)
    check_fits(unet(**changes), state, rank=RANK, targets=TARGETS, name="anna")
    with pytest.raises(CheckpointError, match="the LoRA does not fit: anna: ") as caught:
        check_fits(unet(), state, rank=rank, targets=TARGETS, name="anna")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_half_lost_lora_is_refused() -> None:
    state = state_of()
    del state[next(iter(state))]
    network = unet()
    inject(network, RANK, ALPHA)
    with pytest.raises(CheckpointError, match=r"missing: .*lora_A"):
        load_lora_state(network, state, "anna")


def test_frozen_weights_may_be_16_bits_while_the_lora_is_float32(inputs: Inputs) -> None:
    network = unet().bfloat16()
    halved = tuple(one.bfloat16() for one in inputs)
    before = output(network, halved)
    parameters = inject(network, RANK, ALPHA)
    assert {one.dtype for one in parameters} == {torch.float32}
    made = network(*halved)
    assert made.dtype == torch.bfloat16 and torch.equal(made, before)
    made.float().square().mean().backward()
    assert any(one.grad is not None and one.grad.abs().max() > 0 for one in parameters)


def test_weights_of_another_width_are_left_to_the_loading_which_refuses_them() -> None:
    weight = torch.zeros(6, 4)
    state = {"x.lora_A.weight": torch.ones(2, 8), "x.lora_B.weight": torch.ones(6, 2)}
    assert merged({"x.weight": weight}, state, 1.0)["x.weight"] is weight
