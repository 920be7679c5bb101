"""Fine-tuning to one person: only a LoRA trains, and its file says whose footage it is."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from latentsync.errors import CheckpointError, ConfigError
from latentsync.generate.diffusion.lora import merge
from latentsync.models.lora import TARGETS, load_lora_state, lora_state
from latentsync.models.unet import UNet3DConditionModel
from latentsync.training.person import Adapted, LoraSettings, adapt, lora_settings
from latentsync.training.settings.schema import Lora
from latentsync.weights.lora_about import read_about
from latentsync.weights.manifest import LATENTSYNC_UNET
from tests.parity.filled import filled
from tests.support.tiny_latentsync import MODEL

GIVEN = LoraSettings(
    rank=4, alpha=4, name="Anna", licence="with her consent", source="interviews of May"
)


@pytest.fixture(scope="module")
def plain() -> UNet3DConditionModel:
    return filled(UNet3DConditionModel(**MODEL))


def adapted(plain: UNet3DConditionModel, seed: int = 0) -> Adapted:
    return adapt(copy.deepcopy(plain), GIVEN, seed=seed)


def noise_of(unet: UNet3DConditionModel) -> Tensor:
    g = torch.Generator().manual_seed(0)
    sample, audio = torch.randn(1, 13, 2, 8, 8, generator=g), torch.randn(2, 4, 384, generator=g)
    return unet(sample, 300.0, audio)


def trained(one: Adapted) -> Adapted:
    """After two steps."""
    optimizer = torch.optim.AdamW(one.parameters, lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        noise_of(one.unet).square().mean().backward()
        optimizer.step()
    return one


def test_what_a_checkpoint_holds_brings_the_training_back(plain: UNet3DConditionModel) -> None:
    one = trained(adapted(plain))
    state = lora_state(one.unet)
    assert sum(value.numel() for value in state.values()) < 0.2 * sum(
        value.numel() for value in plain.state_dict().values()
    )
    other = adapted(plain, seed=1)
    load_lora_state(other.unet, state, "checkpoint")
    with torch.no_grad():
        assert torch.equal(noise_of(other.unet), noise_of(one.unet))
    with pytest.raises(CheckpointError, match=r"does not fit: step-7: missing"):
        load_lora_state(other.unet, {}, "step-7")


def test_the_file_is_what_inference_takes_and_says_where_it_comes_from(
    plain: UNet3DConditionModel, tmp_path: Path
) -> None:
    base = tmp_path / "latentsync_unet.pt"
    torch.save({"state_dict": plain.state_dict()}, base)
    one = trained(adapted(plain))
    path = tmp_path / "anna.safetensors"
    one.packer(base, LATENTSYNC_UNET)(lora_state(one.unet), 2)(path)
    about = read_about(path)
    assert (about.name, about.licence, about.source) == (GIVEN.name, GIVEN.licence, GIVEN.source)
    assert (about.rank, about.alpha, about.targets, about.steps) == (4, 4, GIVEN.targets, 2)
    assert about.base == "latentsync_unet.pt", "it is not the published file"
    assert about.base_licence == str(LATENTSYNC_UNET.licence)
    unet = copy.deepcopy(plain)
    merge(unet, path)
    with torch.no_grad():
        made, wanted, before = noise_of(unet), noise_of(one.unet), noise_of(plain)
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
    assert (wanted - before).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": 0}, "lora.rank: 0; use a number from 1"),
        ({"rank": 4000}, "lora.rank: 4000"),
        ({"alpha": 0.0}, "lora.alpha: 0.0"),
        ({"alpha": float("nan")}, "lora.alpha: nan"),
        ({"targets": ()}, "lora.targets: none; name parts"),
        ({"targets": ("resnets.conv",)}, "meant by: resnets.conv"),
        ({"name": " "}, "lora.name: not given; say whose footage it is"),
        ({"licence": ""}, "lora.licence: not given"),
        ({"source": "a\nb"}, "lora.source: 'a"),
        ({"name": "x" * 1000}, "use one line of at most 200 characters"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_changed(
    changes: dict[str, Any], message: str
) -> None:
    with torch.device("meta"):
        unet = UNet3DConditionModel(**MODEL)
    with pytest.raises(ConfigError) as caught:
        adapt(unet, replace(GIVEN, **changes), seed=0)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert all(one.requires_grad for one in unet.parameters())


def test_too_little_footage_is_refused_with_what_is_there() -> None:
    with pytest.raises(ConfigError, match=r"short: 1\.5 minutes; 2 minutes are asked for"):
        GIVEN.check_footage(90)
    GIVEN.check_footage(120)
    replace(GIVEN, least_minutes=0).check_footage(8)


def test_a_rank_alone_stands_for_the_usual_scale_and_layers() -> None:
    texts = {"name": "Anna", "licence": "with her consent", "source": "interviews"}
    assert lora_settings(Lora()) is None
    made = lora_settings(Lora(rank=8, **texts))
    assert made is not None and (made.rank, made.alpha, made.targets) == (8, 8.0, TARGETS)
    with pytest.raises(ConfigError, match=r"lora\.source: not given"):
        lora_settings(Lora(rank=8, **(texts | {"source": ""})))
