"""Attention over time: at each position, between the frames of the chunk."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from latentsync.models.attention import PROJECTION_EPS, Attention, FeedForward

GROUPS = 32  # of its group norm, whatever the rest of the network has
ATTENTIONS = 2  # in one block
PERIOD = 10_000.0  # of the slowest wave in the position encoding, in frames / (2 pi)


def sinusoids(length: int, channels: int, *, device: str | None = None) -> Tensor:
    """(1, length, channels) float32: sine in the even channels, cosine in the odd ones."""
    position = torch.arange(length, device=device, dtype=torch.float32)[:, None]
    channel = torch.arange(0, channels, 2, device=device, dtype=torch.float32)
    angle = position * torch.exp(channel * (-math.log(PERIOD) / channels))
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1)
    return waves.flatten(1)[None, :, :channels]


class PositionEncoding(nn.Module):
    """x: (n, f, c) -> the same, with the position along f added. It starts at 0 in every chunk."""

    pe: Tensor

    def __init__(self, channels: int, *, max_frames: int) -> None:
        super().__init__()
        pe = sinusoids(max_frames, channels)
        if pe.is_meta:  # files may leave it out, as it is a formula: it is computed even on meta
            pe = sinusoids(max_frames, channels, device="cpu")
        self.register_buffer("pe", pe)

    def forward(self, x: Tensor) -> Tensor:
        frames, longest = x.shape[1], self.pe.shape[1]
        if frames > longest:
            raise ValueError(f"a chunk of {frames} frames; attention over time takes {longest}")
        return x + self.pe[:, :frames].to(x)


class TemporalAttention(Attention):
    """x: (n, f, c) -> the same."""

    def __init__(self, channels: int, heads: int, *, max_frames: int) -> None:
        super().__init__(channels, heads)
        self.pos_encoder = PositionEncoding(channels, max_frames=max_frames)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(self.pos_encoder(x), context)


class TemporalBlock(nn.Module):
    """x: (n, f, c) -> the same."""

    def __init__(self, channels: int, heads: int, *, max_frames: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(
            TemporalAttention(channels, heads, max_frames=max_frames) for _ in range(ATTENTIONS)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(ATTENTIONS))
        self.ff = FeedForward(channels)
        self.ff_norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        for norm, attention in zip(self.norms, self.attention_blocks, strict=True):
            x = x + attention(norm(x))
        return x + self.ff(self.ff_norm(x))


class TemporalTransformer(nn.Module):
    """x: (b f) c h w -> the same. Its group norm is per frame, its attention per position."""

    def __init__(
        self, channels: int, heads: int, *, max_frames: int, zero_initialize: bool
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, PROJECTION_EPS)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            [TemporalBlock(channels, heads, max_frames=max_frames)]
        )
        self.proj_out = nn.Linear(channels, channels)
        if zero_initialize:  # before training a motion module is the identity
            nn.init.zeros_(self.proj_out.weight)
            nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        height, width = x.shape[-2:]
        # Linear layers and layer norms work on single tokens: one rearrangement serves them all.
        tokens = rearrange(self.norm(x), "(b f) c h w -> (b h w) f c", f=frames)
        tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens)
        tokens = self.proj_out(tokens)
        return x + rearrange(tokens, "(b h w) f c -> (b f) c h w", h=height, w=width)


class MotionModule(nn.Module):
    """x: (b f) c h w -> the same. f: at most `max_frames`."""

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        max_frames: int = 24,
        zero_initialize: bool = True,
    ) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(
            channels, heads, max_frames=max_frames, zero_initialize=zero_initialize
        )

    def forward(self, x: Tensor, frames: int) -> Tensor:
        return self.temporal_transformer(x, frames)
