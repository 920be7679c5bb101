"""Our U-Net computes what the original one does, from the same settings and the same keys."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError, ConfigError
from latentsync.models.blocks import UpBlock
from latentsync.models.unet import UNet3DConditionModel
from latentsync.weights.load import build
from latentsync.weights.manifest import LATENTSYNC_UNET
from tests.parity.filled import filled
from tests.parity.rule import HERE, published_shapes

KIND = "unet_"
TOLERANCE = 1e-4  # about 4e-6 is seen, from another order of sums; the output's deviation is 0.6

TINY: dict[str, Any] = {"block_out_channels": (32, 64, 96, 96), "cross_attention_dim": 48}
"""The full topology on a diet."""

YAML: dict[str, Any] = {  # the model section of upstream's stage2_512.yaml, as PyYAML reads it
    "act_fn": "silu",
    "add_audio_layer": True,
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 384,
    "down_block_types": ["CrossAttnDownBlock3D"] * 3 + ["DownBlock3D"],
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "up_block_types": ["UpBlock3D"] + ["CrossAttnUpBlock3D"] * 3,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 13,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": "1e-5",
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "resnet_time_scale_shift": "default",
    "use_motion_module": True,
    "motion_module_resolutions": [1, 2, 4, 8],
    "motion_module_mid_block": False,
    "motion_module_decoder_only": False,
    "motion_module_type": "Vanilla",
    "motion_module_kwargs": {
        "num_attention_heads": 8,
        "num_transformer_block": 1,
        "attention_block_types": ["Temporal_Self", "Temporal_Self"],
        "temporal_position_encoding": True,
        "temporal_position_encoding_max_len": 24,
        "temporal_attention_dim_div": 1,
        "zero_initialize": True,
    },
}


@pytest.fixture(scope="module")
def unet() -> UNet3DConditionModel:
    return filled(UNet3DConditionModel(**TINY))


def inputs(batch: int = 1, frames: int = 3, size: tuple[int, int] = (8, 8)) -> tuple[Tensor, ...]:
    """sample, timestep, audio."""
    g = torch.Generator().manual_seed(batch + frames)
    sample = torch.randn(batch, 13, frames, *size, generator=g)
    return sample, torch.tensor(601), torch.randn(batch * frames, 50, 48, generator=g)


@torch.no_grad()
def run(module: nn.Module, *args: Any) -> Tensor:
    return module(*args)


def assert_same(ours: Tensor, theirs: Tensor, atol: float = TOLERANCE) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


# The function


def test_the_golden_output_is_reproduced(golden_file: Path) -> None:
    golden = np.load(golden_file)
    about = json.loads(golden_file.with_suffix(".json").read_text())
    network = filled(UNet3DConditionModel(**about["config"]))
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert list(shapes.items()) == list(about["keys"].items())
    given = (torch.from_numpy(golden[name]) for name in ("sample", "timestep", "audio"))
    np.testing.assert_allclose(run(network, *given), golden["out"], rtol=0, atol=TOLERANCE)


def test_a_batch_gives_what_its_parts_give_alone(unet: UNet3DConditionModel) -> None:
    sample, timestep, audio = inputs(batch=2)
    parts = zip(sample.split(1), audio.split(3), strict=True)
    alone = torch.cat([run(unet, x, timestep, a) for x, a in parts])
    assert_same(run(unet, sample, timestep, audio), alone)


def test_a_time_step_for_each_part_of_the_batch(unet: UNet3DConditionModel) -> None:
    sample, _, audio = inputs(batch=2)
    each = run(unet, sample, torch.tensor([951, 51]), audio)
    assert_same(each[:1], run(unet, sample, 951, audio)[:1])
    assert_same(each[1:], run(unet, sample, 51, audio)[1:])
    assert (each[:1] - run(unet, sample, 51, audio)[:1]).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("size", [(8, 12), (10, 6), (5, 7)], ids=str)
def test_sizes_that_are_no_multiple_of_8_come_out_as_they_went_in(
    unet: UNet3DConditionModel, size: tuple[int, int]
) -> None:
    assert run(unet, *inputs(size=size)).shape == (1, 4, 3, *size)


@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.05), (torch.float16, 0.005)])
def test_half_precision_stays_near_float32(dtype: torch.dtype, error: float) -> None:
    sample, timestep, audio = inputs()
    exact = run(filled(UNet3DConditionModel(**TINY)), sample, timestep, audio)
    half = filled(UNet3DConditionModel(**TINY)).to(dtype)
    rounded = run(half, sample.to(dtype), timestep, audio.to(dtype))
    assert rounded.dtype == dtype
    assert (rounded.float() - exact).std() < error * exact.std()


def test_a_trace_holds_for_other_chunks_and_steps() -> None:
    small = {"block_out_channels": (32, 64), "layers_per_block": 1, "cross_attention_dim": 48}
    kinds = {
        "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
        "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
    }
    network = filled(UNet3DConditionModel(**small, **kinds))
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of Python values from shapes, and that tracing is deprecated
        traced = torch.jit.trace(network, inputs(), check_trace=False)
    sample, _, audio = inputs(batch=2, frames=5, size=(4, 6))
    given = (sample, torch.tensor(51), audio)
    assert_same(run(traced, *given), run(network, *given))


@pytest.mark.parametrize(
    ("sample", "audio", "message"),
    [
        ((1, 12, 3, 8, 8), (3, 50, 48), r"latents \(B, 13, F, h, w\), not \(1, 12, 3, 8, 8\)"),
        ((13, 3, 8, 8), (3, 50, 48), r"latents .* not \(13, 3, 8, 8\)"),
        ((2, 13, 3, 8, 8), (3, 50, 48), r"B \* F = 6.* not \(3, 50, 48\)"),
        ((1, 13, 3, 8, 8), (1, 50, 48), r"B \* F = 3.* not \(1, 50, 48\)"),
        ((1, 13, 25, 8, 8), (25, 50, 48), r"25 frames; attention over time takes 24"),
    ],
)
def test_what_does_not_fit_is_refused(
    unet: UNet3DConditionModel, sample: tuple[int, ...], audio: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(unet, torch.zeros(sample), 1, torch.zeros(audio))


# Keys and settings


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("unet_stage2_512", {}),
        ("unet_stage2_512", YAML),
        ("unet_stage2_efficient", {"motion_module_decoder_only": True}),
        ("unet_stage1", {"use_motion_module": False}),
    ],
    ids=["stage2_512", "stage2_512 by YAML", "stage2_efficient", "stage1"],
)
def test_keys_shapes_and_order_are_those_of_the_published_file(
    name: str, settings: dict[str, Any]
) -> None:
    with torch.device("meta"):
        network = UNet3DConditionModel(**settings)
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert list(ours.items()) == list(published_shapes(name).items())
    counted = json.loads((HERE / "keys" / f"{name}_keys.json").read_text())
    assert len(ours) == counted["num_keys"]
    assert sum(value.numel() for value in network.parameters()) == counted["num_parameters"]


def test_a_published_layout_is_loaded_with_and_without_position_encodings(
    unet: UNet3DConditionModel, tmp_path: Path
) -> None:
    file = LATENTSYNC_UNET
    whole = unet.state_dict()
    without = {key: value for key, value in whole.items() if not key.endswith(".pe")}
    assert len(whole) - len(without) == 40
    for state in (whole, without):
        torch.save({"global_step": 5, "state_dict": state}, tmp_path / "u.pt")
        loaded = build(
            lambda: UNet3DConditionModel(**TINY), file, tmp_path / "u.pt", torch.device("cpu")
        )
        assert torch.equal(run(loaded, *inputs()), run(unet, *inputs()))
    without.pop("conv_out.bias")
    torch.save({"global_step": 5, "state_dict": without}, tmp_path / "u.pt")
    with pytest.raises(CheckpointError, match=r"missing: conv_out\.bias"):
        build(lambda: UNet3DConditionModel(**TINY), file, tmp_path / "u.pt", torch.device("cpu"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"center_input_sample": True}, "model.center_input_sample: True; only False"),
        ({"resnet_time_scale_shift": "scale_shift"}, "model.resnet_time_scale_shift: scale_shift"),
        ({"layers_in_block": 2}, "unknown key: model.layers_in_block"),
        ({"down_block_types": ["DownBlock2D"] * 4}, "unknown type of block: DownBlock2D"),
        ({"up_block_types": ["UpBlock3D"] * 3}, "types of blocks: UpBlock3D, UpBlock3D, UpBlock3D"),
        (
            {"motion_module_kwargs": {"num_transformer_block": 2}},
            "num_transformer_block: 2; only 1",
        ),
        (
            {"motion_module_kwargs": {"max_len": 2}},
            "unknown key: model.motion_module_kwargs.max_len",
        ),
    ],
)
def test_settings_of_another_network_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught, torch.device("meta"):
        UNet3DConditionModel(**settings)
    assert message in str(caught.value)


def test_without_motion_modules_the_whole_network_turns_with_its_frames() -> None:
    network = filled(UNet3DConditionModel(**TINY, use_motion_module=False))
    sample, timestep, audio = inputs(frames=5)
    out = run(network, sample, timestep, audio)
    assert_same(run(network, sample.flip(2), timestep, audio.flip(0)), out.flip(2))
    sample[:, :, 0] *= -3
    assert (run(network, sample, timestep, audio) - out)[:, :, 1:].abs().max() > 0.01


# The step cache


def last_but_one(unet: UNet3DConditionModel) -> nn.Module:
    """Whose output enters the last layer."""
    block = unet.up_blocks[-1]
    assert isinstance(block, UpBlock)
    return block.motion_modules[-2]


@torch.no_grad()
def test_a_cached_step_is_a_whole_pass_whose_depth_is_of_an_earlier_step(
    unet: UNet3DConditionModel,
) -> None:
    early, _, audio = inputs(batch=2)
    late = early + 0.3 * torch.randn(early.shape, generator=torch.Generator().manual_seed(1))
    whole, deep = unet.step(early, 951, audio)
    assert torch.equal(whole, unet(early, 951, audio))
    cheap, kept = unet.step(late, 901, audio, cached=deep)
    assert kept is deep
    hook = last_but_one(unet).register_forward_hook(lambda module, args, out: deep)
    stale = unet(late, 901, audio)
    hook.remove()
    assert torch.equal(cheap, stale)
    assert (cheap - unet(late, 901, audio)).abs().max() > 100 * TOLERANCE, "nothing was stale"


@torch.no_grad()
def test_a_cached_step_runs_the_last_layer_alone(unet: UNet3DConditionModel) -> None:
    sample, timestep, audio = inputs()
    _, deep = unet.step(sample, timestep, audio)
    ran: set[str] = set()
    parts = {name: part for name, part in unet.named_modules() if not list(part.children())}
    hooks = [
        part.register_forward_hook(lambda *_, name=name: ran.add(name))
        for name, part in parts.items()
    ]
    unet.step(sample, timestep, audio, cached=deep)
    for hook in hooks:
        hook.remove()
    layer = [f"up_blocks.3.{kind}.2." for kind in ("resnets", "attentions", "motion_modules")]
    allowed = ("conv_in", "time_embedding.", "conv_norm_out", "conv_out", *layer)
    assert ran == {name for name in parts if name.startswith(allowed)}
