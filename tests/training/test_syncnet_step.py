"""A training step of StableSyncNet, of pixels and of latents."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from latentsync.generate.coding import LATENT_SCALE
from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.training.batch import SyncBatch
from latentsync.training.syncnet_step import SyncNetStep
from tests.support.tiny_training import SIDE, SYNCNET, SmallVae, clips

LATENT: dict[str, Any] = SYNCNET | {
    "visual_encoder": {
        "in_channels": 64,
        "block_out_channels": [32],
        "downsample_factors": [1],
    }
}


class Known(nn.Module):
    """In place of the network: cosines of 1, 1, 0."""

    def forward(self, frames: torch.Tensor, mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        vision = torch.tensor([[1.0, 0.0]]).repeat(3, 1)
        return vision, torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def pairs(count: int = 2, in_sync: tuple[float, ...] = (1.0, 0.0)) -> SyncBatch:
    some = clips(count)
    assert some.mel is not None
    return SyncBatch(some.faces, some.mel, torch.tensor(in_sync), some.clips)


def test_the_figures_of_known_cosines() -> None:
    """Right and in sync, wrong, right and not in sync."""
    losses = SyncNetStep(Known()).losses(Known(), pairs(3, (1.0, 0.0, 0.0)))
    assert losses.each.tolist() == [0, 100, 0]
    assert float(losses.total) == pytest.approx(100 / 3)
    assert losses.figures == {"accuracy": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("config", "vae"), [(SYNCNET, None), (LATENT, SmallVae())], ids=["pixels", "latents"]
)
def test_a_step_trains_both_encoders_and_the_label_turns_the_loss(
    config: dict[str, Any], vae: SmallVae | None
) -> None:
    torch.manual_seed(1)
    step = SyncNetStep(StableSyncNet(config), vae)
    losses = step.losses(step.model, pairs())
    torch.testing.assert_close(losses.parts["sync"], losses.each.mean())
    losses.total.backward()
    for name in ("audio_encoder", "visual_encoder"):
        gradient = step.model.get_parameter(f"{name}.conv_in.weight").grad
        assert gradient is not None and gradient.abs().max() > 0
    turned = step.losses(step.model, pairs(in_sync=(0.0, 1.0)))
    assert set(losses.figures) == {"accuracy"}
    assert losses.figures["accuracy"] == 1 - turned.figures["accuracy"]
    assert vae is None or vae.colours.grad is None


def test_latents_of_whole_faces_are_stacked_frame_by_frame() -> None:
    vae, batch = SmallVae(), pairs()
    given = SyncNetStep(StableSyncNet(LATENT), vae, frames_at_once=5).network_input(batch.faces)
    assert given.shape == (2, 64, SIDE // 8, SIDE // 8)
    wanted = vae.encode(batch.faces[1, 3:4]).latent_dist.mean * LATENT_SCALE
    torch.testing.assert_close(given[1, 12:16], wanted[0])


def test_under_autocast_the_loss_is_float32() -> None:
    step = SyncNetStep(StableSyncNet(SYNCNET))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = step.losses(step.model, pairs())
    assert losses.total.dtype == torch.float32
    assert torch.isfinite(losses.total)
