"""What the losses look at: their part of the face, in their range and order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentsync.models.lpips import Lpips, LpipsLayers
from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.models.video_mae import VideoMae
from latentsync.training.losses.perceptual import lower_half_losses
from latentsync.training.losses.recon import recon_losses
from latentsync.training.losses.sync import mouth_sync_losses, network_input
from latentsync.training.losses.trepa import trepa_losses, video_features
from tests.models.test_video_mae import TINY
from tests.support.tiny_training import SIDE, SYNCNET, clips


class OneLayer(nn.Module):
    """In place of VGG16: the image itself, five times."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [
            images.mean(dim=1, keepdim=True).expand(-1, c, -1, -1) for c in (64, 128, 256, 512, 512)
        ]


@pytest.fixture
def lpips() -> Lpips:
    torch.manual_seed(1)
    return Lpips(OneLayer(), LpipsLayers()).requires_grad_(False)  # type: ignore[arg-type]


def test_recon_is_the_mean_square_of_each_clip() -> None:
    noise = torch.zeros(2, 4, 3, 2, 2)
    predicted = torch.stack([noise[0] + 1, noise[1] - 3]).half()
    assert recon_losses(predicted, noise).tolist() == [1, 9]


@pytest.mark.parametrize("at_once", [3, 16, 100])
def test_lpips_sees_the_lower_half_alone_and_averages_over_a_clip_s_frames(
    lpips: Lpips, at_once: int
) -> None:
    faces = clips().faces
    other = faces.clone()
    other[:, :, :, : SIDE // 2] *= -1
    assert lower_half_losses(lpips, faces, other, at_once).tolist() == [0, 0]
    other[1, 3, :, SIDE // 2 :] *= -1
    first, second = lower_half_losses(lpips, faces, other, at_once)
    alone = lpips(faces[1, 3:4, :, SIDE // 2 :], other[1, 3:4, :, SIDE // 2 :])
    assert float(first) == 0
    torch.testing.assert_close(second, alone[0] / faces.shape[1])


def test_syncnet_sees_the_lower_half_frame_by_frame_at_its_own_size() -> None:
    faces = clips().faces
    given = network_input(faces, SIDE)
    assert given.shape == (2, 48, SIDE // 2, SIDE)
    assert torch.equal(given[:, 3 * 5 + 1], faces[:, 5, 1, SIDE // 2 :])
    flat = torch.full((1, 16, 3, 64, 64), 0.25)
    flat[..., :32, :] = -1
    shrunk = network_input(flat, SIDE)
    assert shrunk.shape == (1, 48, SIDE // 2, SIDE)
    torch.testing.assert_close(shrunk[..., 2:, :], torch.full((1, 48, SIDE // 2 - 2, SIDE), 0.25))


def test_the_sync_loss_has_a_gradient_in_the_mouth_alone() -> None:
    torch.manual_seed(1)
    batch, network = clips(), StableSyncNet(SYNCNET).requires_grad_(False)
    faces = batch.faces.requires_grad_()
    assert batch.mel is not None
    losses = mouth_sync_losses(network, faces, batch.mel, SIDE)
    assert losses.shape == (2,) and (losses >= 0).all()
    (gradient,) = torch.autograd.grad(losses[1], faces)
    assert gradient[1, :, :, SIDE // 2 :].abs().max() > 0
    assert gradient[0].abs().max() == gradient[1, :, :, : SIDE // 2].abs().max() == 0


def test_trepa_compares_whole_faces_in_the_range_0_to_1() -> None:
    torch.manual_seed(1)
    network, given = VideoMae(TINY).requires_grad_(False), []
    network.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    faces = 1.5 * clips().faces
    video_features(network, faces)
    assert given[0].shape == (2, 3, 16, TINY.side, TINY.side)
    assert given[0].min() == 0 and given[0].max() == 1
    assert trepa_losses(network, faces, faces).tolist() == [0, 0]
    swapped = faces.flip(1).requires_grad_()
    losses = trepa_losses(network, swapped, faces)
    assert (losses > 0).all(), "the order of frames counts"
    assert torch.autograd.grad(losses.sum(), swapped)[0].abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_networks_in_half_precision_are_float32_and_near(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    batch, syncnet, video_mae = clips(), StableSyncNet(SYNCNET), VideoMae(TINY)
    assert batch.mel is not None
    wanted = batch.faces.flip(1)
    exact = (
        trepa_losses(video_mae, batch.faces, wanted),
        mouth_sync_losses(syncnet, batch.faces, batch.mel, SIDE),
    )
    syncnet, video_mae = syncnet.to(dtype), video_mae.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = (
            trepa_losses(video_mae, batch.faces, wanted),
            mouth_sync_losses(syncnet, batch.faces, batch.mel, SIDE),
        )
    for ours, theirs in zip(half, exact, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0.1, atol=1e-3)
