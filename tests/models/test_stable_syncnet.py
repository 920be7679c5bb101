"""StableSyncNet takes LatentSync's configurations, and its loss is defined wherever it is asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentsync.errors import ConfigError
from latentsync.models.stable_syncnet import StableSyncNet, agreement, stacked, sync_losses
from latentsync.models.sync_options import encoder_options

SMALL = {"in_channels": 1, "block_out_channels": [32, 32], "downsample_factors": [2, [2, 3]]}


def options_of(**changes: Any) -> Any:
    return encoder_options({"audio_encoder": SMALL | changes}, "audio_encoder")


def test_a_configuration_without_attn_blocks_has_no_attention() -> None:
    """configs/syncnet/syncnet_25_pixel.yaml is one."""
    assert options_of().attention == (False, False)
    assert options_of(attn_blocks=[0, 1]).attention == (False, True)


def test_factors_are_of_height_and_width() -> None:
    assert options_of().factors == ((2, 2), (2, 3))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"attn_blocks": [1]}, "attn_blocks: 1 values; give 2"),
        ({"downsample_factors": [2]}, "downsample_factors: 1 values; give 2"),
        ({"downsample_factors": [2, 0]}, "downsample_factors: 0"),
        ({"downsample_factors": [2, [1, 2, 3]]}, "downsample_factors: [1, 2, 3]"),
        ({"block_out_channels": [32, 48]}, "block_out_channels: [32, 48]; use multiples of 32"),
    ],
)
def test_a_setting_that_cannot_be_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options_of(**changes)
    assert f"model.audio_encoder.{named}" in str(caught.value)


@pytest.mark.parametrize("key", SMALL)
def test_a_missing_setting_is_named(key: str) -> None:
    section = {other: value for other, value in SMALL.items() if other != key}
    with pytest.raises(ConfigError, match=f"model.audio_encoder.{key}: missing"):
        encoder_options({"audio_encoder": section}, "audio_encoder")


def test_a_missing_section_is_named() -> None:
    with pytest.raises(ConfigError, match=r"model\.visual_encoder: None"):
        encoder_options({"audio_encoder": SMALL}, "visual_encoder")


def test_all_zeros_in_half_precision_give_no_nan() -> None:
    network = StableSyncNet({"audio_encoder": SMALL, "visual_encoder": SMALL}).half()
    with torch.no_grad():
        for norm in (network.audio_encoder.norm_out, network.visual_encoder.norm_out):
            norm.bias.fill_(-100)  # of all that the ReLU gets
        vision, audio = network(*[torch.ones(1, 1, 8, 12).half()] * 2)
    assert not vision.any()
    assert agreement(vision, audio).tolist() == [0]


def test_the_loss_is_small_where_the_label_is_right_and_at_most_100() -> None:
    lips = torch.eye(2)
    same, other = lips, lips.flip(0)
    yes, no = torch.ones(2), torch.zeros(2)
    assert sync_losses(lips, same, yes).tolist() == [0, 0]
    assert sync_losses(lips, other, no).tolist() == [0, 0]
    assert sync_losses(lips, other, yes).tolist() == [100, 100]
    assert sync_losses(lips, same, no).tolist() == [100, 100]


def test_a_cosine_that_rounding_put_above_1_is_no_error() -> None:
    alike = torch.full((1, 7), 1e-3)
    assert agreement(alike, alike) > 1
    assert sync_losses(alike, alike, torch.ones(1)).tolist() == [0]


def test_the_lower_halves_of_the_faces_are_stacked_frame_by_frame() -> None:
    faces = torch.arange(16.0)[:, None, None, None].expand(16, 3, 8, 8).clone()
    faces[:, :, :4] = -1
    frames = stacked(faces[None])
    assert frames.shape == (1, 48, 4, 8)
    assert frames[0, :, 0, 0].tolist() == [frame for frame in range(16) for _ in range(3)]


def test_the_loss_of_what_is_not_a_number_is_none_and_leaves_the_others() -> None:
    """It is to be noticed by the training; torch's own function would end it."""
    vision = torch.tensor([[1.0, 0.0], [float("nan"), 1.0]], requires_grad=True)
    losses = sync_losses(vision, torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.ones(2))
    assert torch.isfinite(losses).tolist() == [True, False]
    (gradient,) = torch.autograd.grad(losses[0], vision)
    assert torch.isfinite(gradient[0]).all()
