"""VideoMAE v2's encoder: features of 16 frames together (Wang et al., CVPR 2023).

Checkpoint-compatible with `vit_g_hybrid_pt_1200e_ssv2_ft.pth`, the giant, which LatentSync's TREPA
loss compares videos with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.models.recompute import Recomputing

_EPSILON = 1e-6  # of all norms
_PERIOD = 10_000.0  # of the slowest wave in the position encoding, in tokens / (2 pi)


@dataclass(frozen=True, slots=True)
class VideoMaeOptions:
    """side: of a frame [pixels]. patch, tubelet: pixels and frames of a token. width: channels.

    classes: of the head, which is in the file and not used. The defaults are the giant's.
    """

    side: int = 224
    patch: int = 14
    frames: int = 16
    tubelet: int = 2
    width: int = 1408
    depth: int = 40
    heads: int = 16
    hidden: int = 6144
    classes: int = 174

    @property
    def tokens(self) -> int:
        return (self.frames // self.tubelet) * (self.side // self.patch) ** 2


GIANT = VideoMaeOptions()


class VideoMae(Recomputing):
    """frames: (B, 3, 16, 224, 224) float RGB [0, 1] -> features (B, 1408), unbounded."""

    positions: Tensor

    def __init__(self, options: VideoMaeOptions = GIANT) -> None:
        super().__init__()
        self.options = options
        self.patch_embed = _Patches(options)
        self.blocks = nn.ModuleList(_Block(options) for _ in range(options.depth))
        self.fc_norm = nn.LayerNorm(options.width, _EPSILON)
        self.head = nn.Linear(options.width, options.classes)
        # A formula, and in no file: it is computed even on meta.
        self.register_buffer("positions", _waves(options), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.patch_embed(frames)
        if x.shape[1] != self.options.tokens:
            wanted = (self.options.frames, self.options.side, self.options.side)
            raise ValueError(f"VideoMAE takes (B, 3, {wanted}) frames, not {tuple(frames.shape)}")
        x = x + self.positions.to(x)
        for block in self.blocks:
            x = self._run(block, x)
        features: Tensor = self.fc_norm(x.mean(dim=1))
        return features


class _Patches(nn.Module):
    """(B, 3, F, h, w) -> (B, tokens, c), in order of time, row and column."""

    def __init__(self, options: VideoMaeOptions) -> None:
        super().__init__()
        size = (options.tubelet, options.patch, options.patch)
        self.proj = nn.Conv3d(3, options.width, size, stride=size)

    def forward(self, frames: Tensor) -> Tensor:
        return rearrange(self.proj(frames), "b c t h w -> b (t h w) c")


class _Block(nn.Module):
    """(B, tokens, c) -> the same."""

    def __init__(self, options: VideoMaeOptions) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(options.width, _EPSILON)
        self.attn = _Attention(options.width, options.heads)
        self.norm2 = nn.LayerNorm(options.width, _EPSILON)
        self.mlp = _Mlp(options.width, options.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Attention(nn.Module):
    """(B, tokens, c) -> the same. Queries and values have a bias, keys have none."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        projected = F.linear(x, self.qkv.weight, bias)
        q, k, v = rearrange(projected, "b t (n h d) -> n b h t d", n=3, h=self.heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        attended: Tensor = self.proj(rearrange(mixed, "b h t d -> b t (h d)"))
        return attended


class _Mlp(nn.Module):
    """(B, tokens, c) -> the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mapped


def _waves(options: VideoMaeOptions) -> Tensor:
    """(1, tokens, c) float32: sine in the even channels, cosine in the odd ones."""
    token = torch.arange(options.tokens, device="cpu", dtype=torch.float64)[:, None]
    channel = torch.arange(0, options.width, 2, device="cpu", dtype=torch.float64)
    angle = token * _PERIOD ** (-channel / options.width)
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    return waves[None, :, : options.width].float()
