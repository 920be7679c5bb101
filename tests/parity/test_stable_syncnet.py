"""StableSyncNet computes the embeddings, losses and gradients that the original does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.models.stable_syncnet import StableSyncNet, agreement, sync_losses
from latentsync.models.sync_options import LATENT, PIXEL, RELEASED
from tests.parity.conftest import golden_files
from tests.parity.filled import filled, filled_while_it_runs
from tests.parity.rule import named_normal, published_shapes

KIND = "stable_syncnet"
RELATIVE = 1e-3  # of the largest value; 1e-5 is seen
CONFIGS = ("tiny", "full")
COUNTS = {"attn": (RELEASED, 266, 401_306_080), "pixel": (PIXEL, 178, 371_766_496)}
COUNTS["latent"] = (LATENT, 144, 65_544_416)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One configuration of a golden file, with what the network made of its inputs."""

    about: dict[str, Any]
    stored: dict[str, np.ndarray]
    network: StableSyncNet
    inputs: tuple[Tensor, Tensor]
    embeddings: tuple[Tensor, Tensor]


def on_meta(config: Mapping[str, Any]) -> StableSyncNet:
    with torch.device("meta"):
        return StableSyncNet(config)


def examples() -> list[tuple[Path, str]]:
    return [(file, config) for file in golden_files(KIND) for config in CONFIGS]


@pytest.fixture(scope="module", params=examples(), ids=lambda one: f"{one[0].stem}-{one[1]}")
def example(request: pytest.FixtureRequest) -> Example:
    file, config = request.param
    about = json.loads(file.with_suffix(".json").read_text())[config]
    with np.load(file) as golden:
        marks = f"{config}_"
        stored = {k.removeprefix(marks): v for k, v in golden.items() if k.startswith(marks)}
    fill = filled if "frames_grad" in stored else filled_while_it_runs
    network = fill(on_meta(about["config"]))
    shapes = (about["frames_shape"], about["mel_shape"])
    frames, mel = (
        torch.from_numpy(named_normal(name, tuple(shape)))
        for name, shape in zip(about["inputs"], shapes, strict=True)
    )
    with torch.no_grad():
        embeddings = network(frames, mel)
    return Example(about, stored, network, (frames, mel), embeddings)


def equals(computed: Tensor, wanted: np.ndarray) -> None:
    allowed = RELATIVE * np.abs(wanted).max()
    np.testing.assert_allclose(computed.numpy(), wanted, rtol=0, atol=allowed)


@pytest.mark.parametrize(("config", "keys", "parameters"), COUNTS.values(), ids=COUNTS)
def test_each_configuration_has_the_original_s_number_of_parameters(
    config: Mapping[str, Any], keys: int, parameters: int
) -> None:
    network = on_meta(config)
    assert len(network.state_dict()) == keys
    assert sum(one.numel() for one in network.parameters()) == parameters


def test_the_network_has_the_original_s_keys_in_their_order(example: Example) -> None:
    """Of the full network those of the published file."""
    keys = example.about.get("keys") or published_shapes(KIND)
    shapes = example.network.state_dict().items()
    assert [(k, tuple(v.shape)) for k, v in shapes] == [(k, tuple(s)) for k, s in keys.items()]


def test_embeddings_are_the_original_s(example: Example) -> None:
    vision, audio = example.embeddings
    equals(vision, example.stored["vision_embeds"])
    equals(audio, example.stored["audio_embeds"])
    equals(agreement(vision, audio), example.stored["cosine"])


def test_losses_are_the_original_s(example: Example) -> None:
    labels = torch.from_numpy(example.stored["y"]).flatten()
    losses = sync_losses(*example.embeddings, labels)
    equals(losses, example.stored["loss"])
    equals(losses.mean(), example.stored["loss_mean"])


def test_the_gradient_of_the_loss_is_the_original_s(example: Example) -> None:
    if "frames_grad" not in example.stored:
        pytest.skip("only the tiny network's gradient is stored")
    frames, mel = example.inputs
    frames = frames.clone().requires_grad_()
    loss = sync_losses(*example.network(frames, mel), torch.ones(len(frames))).mean()
    (gradient,) = torch.autograd.grad(loss, frames)
    equals(loss.detach(), example.stored["sync_loss"])
    equals(gradient, example.stored["frames_grad"])
    equals(gradient.norm(), example.stored["frames_grad_norm"])
