"""Residual blocks, up- and downsampling. The layout is (b f) c h w: for every layer but the group
norm the frames of a chunk are a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F


class FramesGroupNorm(nn.GroupNorm):
    """Group norm whose mean and variance are taken over all frames of a chunk together.

    x: (b f) c h w -> the same. The result for one frame therefore depends on the others and their
    number. Upstream normalises the 5-D tensor (resnet.py:136-164, unet.py:236-238).
    """

    def forward(self, x: Tensor, frames: int) -> Tensor:  # type: ignore[override]
        height, width = x.shape[-2:]
        x = rearrange(x, "(b f) c h w -> b c (f h w)", f=frames)
        return rearrange(super().forward(x), "b c (f h w) -> (b f) c h w", h=height, w=width)


class ResBlock(nn.Module):
    """x: (b f) c_in h w, embedding: (b, e) -> (b f) c_out h w."""

    def __init__(self, c_in: int, c_out: int, *, embedding: int, groups: int, eps: float) -> None:
        super().__init__()
        self.norm1 = FramesGroupNorm(groups, c_in, eps)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, c_out)
        self.norm2 = FramesGroupNorm(groups, c_out, eps)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor, frames: int) -> Tensor:
        shift = self.time_emb_proj(F.silu(embedding))
        h = self.conv1(F.silu(self.norm1(x, frames)))
        h = h + repeat(shift, "b c -> (b f) c 1 1", f=frames)
        h = self.conv2(F.silu(self.norm2(h, frames)))
        return self.conv_shortcut(x) + h


class Downsample(nn.Module):
    """(n, c, h, w) -> (n, c, h / 2, w / 2), odd sizes rounded up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """(n, c, h, w) -> (n, c, *size). size: twice h and w, or one less where a Downsample has
    rounded up.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return self.conv(F.interpolate(x, size=tuple(size), mode="nearest"))
