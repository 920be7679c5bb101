"""Attention within one frame: self-attention, and cross-attention to its audio."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

PROJECTION_EPS = 1e-6  # of the group norm before a transformer; the other norms have 1e-5


class Attention(nn.Module):
    """x: (n, t, c), context: (n, s, context) -> (n, t, c). Without context: self-attention.

    bias: of queries, keys and values.
    """

    def __init__(
        self, channels: int, heads: int, *, context: int | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=bias)
        self.to_k = nn.Linear(context or channels, channels, bias=bias)
        self.to_v = nn.Linear(context or channels, channels, bias=bias)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        source = x if context is None else context
        projected = (self.to_q(x), self.to_k(source), self.to_v(source))
        q, k, v = (rearrange(p, "n t (h d) -> n h t d", h=self.heads) for p in projected)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(rearrange(mixed, "n h t d -> n t (h d)"))


class GEGLU(nn.Module):
    """(..., c_in) -> (..., c_out): one half of a projection, gated by the other."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(c_in, 2 * c_out)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """(..., c) -> (..., c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 4 * channels
        # In place of a dropout, which has no weights but counts in the keys.
        self.net = nn.Sequential(GEGLU(channels, inner), nn.Identity(), nn.Linear(inner, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """x: (n, h w, c), audio: (n, s, audio) -> (n, h w, c)."""

    def __init__(self, channels: int, heads: int, *, audio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, heads, context=audio)
        self.ff = FeedForward(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), audio)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """x: (b f) c h w, audio: (b f, s, audio) -> (b f) c h w. Frames are independent."""

    def __init__(self, channels: int, heads: int, *, audio: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, PROJECTION_EPS)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, audio=audio)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        tokens = rearrange(self.proj_in(self.norm(x)), "n c h w -> n (h w) c")
        for block in self.transformer_blocks:
            tokens = block(tokens, audio)
        return x + self.proj_out(rearrange(tokens, "n (h w) c -> n c h w", h=height, w=width))
