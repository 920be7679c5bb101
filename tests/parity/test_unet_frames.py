"""Which layers of the U-Net share over the frames of a chunk, and which see one frame at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from latentsync.models.attention import SpatialTransformer
from latentsync.models.motion_module import MotionModule
from latentsync.models.resnet import FramesGroupNorm, ResBlock
from tests.parity.filled import filled

Layer = Callable[[Tensor], Tensor]
"""(f, c, h, w) -> the same."""


def frames(count: int = 5, channels: int = 32) -> Tensor:
    """(count, channels, 4, 4), every frame of another brightness and contrast."""
    g = torch.Generator().manual_seed(0)
    contrast = torch.linspace(0.5, 2, count)[:, None, None, None]
    return torch.randn(count, channels, 4, 4, generator=g) * contrast + contrast


def others_change(layer: Layer) -> float:
    """The most that the other frames change when one does."""
    x = frames()
    changed = x.clone()
    changed[2] = -3 * x[2]
    with torch.no_grad():
        return (layer(changed) - layer(x))[[0, 1, 3, 4]].abs().max().item()


def turned_change(layer: Layer) -> float:
    """How far `layer` is from giving turned results for frames in reversed order."""
    with torch.no_grad():
        return (layer(frames().flip(0)) - layer(frames()).flip(0)).abs().max().item()


def test_the_group_norm_is_that_of_the_tensor_with_a_time_axis() -> None:
    norm = filled(FramesGroupNorm(8, 32, 1e-5))
    x = torch.stack([frames(), frames() * 2 + 1])  # b f c h w
    expected = nn.GroupNorm.forward(norm, x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(norm(x.flatten(0, 1), 5), expected.flatten(0, 1), rtol=0, atol=1e-5)
    assert (norm(frames(), 5) - norm(frames(), 1)).abs().max() > 0.1


def test_residual_blocks_share_over_frames_whatever_their_order() -> None:
    block = filled(ResBlock(32, 64, embedding=16, groups=32, eps=1e-5))

    def layer(x: Tensor) -> Tensor:
        return block(x, torch.ones(1, 16), 5)

    assert others_change(layer) > 0.1
    assert turned_change(layer) < 1e-5


def test_spatial_transformers_see_one_frame_at_a_time() -> None:
    transformer = filled(SpatialTransformer(32, 8, audio=48, groups=32))
    assert others_change(lambda x: transformer(x, torch.ones(5, 50, 48))) == 0


def test_motion_modules_see_all_frames_in_their_order() -> None:
    motion = filled(MotionModule(32))
    assert others_change(lambda x: motion(x, 5)) > 0.1
    assert turned_change(lambda x: motion(x, 5)) > 0.1


def test_the_norm_of_a_motion_module_levels_every_frame_by_itself() -> None:
    motion = filled(MotionModule(64))
    x = frames(channels=64)
    level = x / torch.linspace(0.5, 2, 5)[:, None, None, None]
    added = motion(x, 5) - x
    torch.testing.assert_close(motion(level, 5) - level, added, rtol=0, atol=1e-4)


def test_an_untrained_motion_module_changes_nothing() -> None:
    assert torch.equal(MotionModule(32)(frames(), 5), frames())
