"""The VAE of Stable Diffusion 1 in plain PyTorch, for machines without diffusers.

The same network, tensor for tensor, as latentsync.generate.vae gets from diffusers (a
test compares them), so that it takes the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (128, 256, 512, 512)  # channels at full size, half, a quarter, an eighth
LATENTS = 4
EPS = 1e-6  # of every group norm


class Residual(nn.Module):
    """(N, c_in, h, w) -> (N, c_out, h, w)."""

    def __init__(self, c_in: int, c_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, c_in, EPS)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, c_out, EPS)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        if c_in != c_out:
            self.conv_shortcut = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + h


class SelfAttention(nn.Module):
    """(N, c, h, w) -> the same shape: self-attention over all positions, with one head."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, EPS)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]
        mixed = F.scaled_dot_product_attention(
            self.to_q(tokens), self.to_k(tokens), self.to_v(tokens)
        )
        return x + self.to_out[0](mixed[:, 0]).transpose(1, 2).unflatten(2, x.shape[2:])


class Middle(nn.Module):
    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([SelfAttention(channels, groups)])
        self.resnets = nn.ModuleList(Residual(channels, channels, groups) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Downsample(nn.Module):
    """(N, c, h, w) -> (N, c, h / 2, w / 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # right and below only


class Upsample(nn.Module):
    """(N, c, h, w) -> (N, c, 2 h, 2 w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one size, then the resampling layer: "downsamplers", "upsamplers"."""

    def __init__(
        self, c_in: int, c_out: int, groups: int, *, layers: int, way: tuple[str, nn.Module] | None
    ) -> None:
        super().__init__()
        widths = [c_in] + [c_out] * layers
        self.resnets = nn.ModuleList(Residual(a, b, groups) for a, b in pairwise(widths))
        self._way = way[0] if way else None
        if way:
            self.add_module(way[0], nn.ModuleList([way[1]]))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resnets:
            x = block(x)
        return getattr(self, self._way)[0](x) if self._way else x


class Encoder(nn.Module):
    def __init__(self, widths: Sequence[int], groups: int, layers: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList()
        for level, (a, b) in enumerate(pairwise((widths[0], *widths))):
            way = ("downsamplers", Downsample(b)) if level + 1 < len(widths) else None
            self.down_blocks.append(Level(a, b, groups, layers=layers, way=way))
        self.mid_block = Middle(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * LATENTS, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, widths: Sequence[int], groups: int, layers: int) -> None:
        super().__init__()
        widths = widths[::-1]
        self.conv_in = nn.Conv2d(LATENTS, widths[0], 3, padding=1)
        self.up_blocks = nn.ModuleList()
        for level, (a, b) in enumerate(pairwise((widths[0], *widths))):
            way = ("upsamplers", Upsample(b)) if level + 1 < len(widths) else None
            self.up_blocks.append(Level(a, b, groups, layers=layers + 1, way=way))
        self.mid_block = Middle(widths[0], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class PlainVAE(nn.Module):
    """Key-compatible with diffusers.AutoencoderKL. r = R / 8."""

    def __init__(
        self, *, widths: Sequence[int] = WIDTHS, groups: int = 32, layers: int = 2
    ) -> None:
        super().__init__()
        self.encoder = Encoder(widths, groups, layers)
        self.decoder = Decoder(widths, groups, layers)
        self.quant_conv = nn.Conv2d(2 * LATENTS, 2 * LATENTS, 1)
        self.post_quant_conv = nn.Conv2d(LATENTS, LATENTS, 1)

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, R, R) RGB [-1, 1] -> mean and standard deviation, (N, 4, r, r)."""
        mean, logarithm = self.quant_conv(self.encoder(images)).chunk(2, dim=1)
        return mean, (logarithm.clamp(-30, 20) / 2).exp()  # the limits are diffusers'

    def decode(self, latents: Tensor) -> Tensor:
        """(N, 4, r, r), unscaled -> (N, 3, R, R) RGB, about [-1, 1]."""
        return self.decoder(self.post_quant_conv(latents))
