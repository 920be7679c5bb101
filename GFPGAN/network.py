"""The GFPGAN v1.4 network ("clean": plain convolutions), key-compatible with published weights.

A U-Net encodes the degraded face to 16 style codes, and a scale and a shift for every resolution. A
StyleGAN2 decoder, trained on high-quality faces, generates a face from the codes, conditioned by
the scales and shifts (arXiv 2101.04061).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from GFPGAN.window import WHOLE, Level, cut, halved, levels, whole
from latentsync.types import Box

SIZE = 512  # side of the face; the stored noise fixes it
STYLE = 512  # numbers in one style code
CODES = 16  # one for each style convolution and for the last RGB output

# Every tuple runs over the sides 4, 8, 16, ... 512.
UNET_CHANNELS = (256, 256, 256, 256, 256, 128, 64, 32)
DECODER_CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)
NOISE_SIDES = (4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512)

SLOPE = 0.2  # of every leaky ReLU
GAIN = 2**0.5  # of the original decoder's fused activation
DEMODULATION_FLOOR = 1e-8


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def _resize(x: Tensor, scale: float) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """(N, c_in, h, w) -> (N, c_out, h * scale, w * scale)."""

    def __init__(self, c_in: int, c_out: int, *, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv2d(c_in, c_in, 3, padding=1)
        self.conv2 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        detail = _resize(_leaky(self.conv1(x)), self.scale)
        return _leaky(self.conv2(detail)) + self.skip(_resize(x, self.scale))


class ModulatedConv(nn.Module):
    """Convolution whose kernel is scaled, per sample and input channel, by a style code.

    Written as input * scale -> shared kernel -> output * demodulation, the same function as a
    kernel per sample: no grouped convolution for batches, and one memory layout for the kernel.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, demodulate: bool) -> None:
        super().__init__()
        self.demodulate = demodulate
        weight = torch.empty(1, c_out, c_in, kernel, kernel)
        self.weight = nn.Parameter(nn.init.normal_(weight, std=(c_in * kernel**2) ** -0.5))
        self.modulation = nn.Linear(STYLE, c_in)
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: Tensor, code: Tensor, *, upsample: bool = False) -> Tensor:
        scale = self.modulation(code)
        x = x * scale[:, :, None, None]  # before upsampling: the same, on a quarter of the pixels
        if upsample:
            x = _resize(x, 2)
        kernel = self.weight[0]
        x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
        return x * self._demodulation(scale, kernel) if self.demodulate else x

    def _demodulation(self, scale: Tensor, kernel: Tensor) -> Tensor:
        """(N, c_out, 1, 1): brings each channel of each sample to unit gain. Sums in float32."""
        energy = kernel.float().square().sum(dim=(2, 3))
        total = (energy * scale.float().square()[:, None, :]).sum(dim=2)
        return torch.rsqrt(total + DEMODULATION_FLOOR)[:, :, None, None].to(scale.dtype)


class StyleConv(nn.Module):
    """Modulated convolution, noise, bias, activation. `weight` is the strength of the noise."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(c_in, c_out, 3, demodulate=True)
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, c_out, 1, 1))

    def forward(self, x: Tensor, code: Tensor, noise: Tensor, *, upsample: bool = False) -> Tensor:
        x = self.modulated_conv(x, code, upsample=upsample) * GAIN
        return _leaky(x + self.weight * noise + self.bias)


class ToRGB(nn.Module):
    def __init__(self, c_in: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(c_in, 3, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return self.modulated_conv(x, code) + self.bias


class ConstantInput(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(1, channels, 4, 4)))


class StoredNoise(nn.Module):
    """The noise maps that come with the weights: fresh ones in each call would flicker."""

    def __init__(self) -> None:
        super().__init__()
        for index, side in enumerate(NOISE_SIDES):
            noise = nn.init.normal_(torch.empty(1, 1, side, side))
            self.register_buffer(f"noise{index}", noise)

    def maps(self) -> list[Tensor]:
        return [self.get_buffer(f"noise{index}") for index in range(len(NOISE_SIDES))]


class StyleDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Not used (the codes come from the U-Net), but its tensors are in every weights file.
        # Odd numbers only: the even ones are activations without weights.
        self.style_mlp = nn.ModuleDict({str(n): nn.Linear(STYLE, STYLE) for n in range(1, 16, 2)})
        self.constant_input = ConstantInput(DECODER_CHANNELS[0])
        self.style_conv1 = StyleConv(DECODER_CHANNELS[0], DECODER_CHANNELS[0])
        self.to_rgb1 = ToRGB(DECODER_CHANNELS[0])
        self.style_convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for c_in, c_out in pairwise(DECODER_CHANNELS):
            self.style_convs += [StyleConv(c_in, c_out), StyleConv(c_out, c_out)]
            self.to_rgbs.append(ToRGB(c_out))
        self.noises = StoredNoise()

    def forward(
        self, codes: Tensor, conditions: list[tuple[Tensor, Tensor]], levels: Sequence[Level]
    ) -> Tensor:
        """-> (N, 3, h, w), the painted part of the last level.

        codes (N, 16, 512); conditions: scale, shift (N, c / 2, h, w), the part read of each level.
        """
        code = codes.unbind(dim=1)
        noise = self.noises.maps()
        x = self.constant_input.weight.expand(codes.shape[0], -1, -1, -1)
        x = self.style_conv1(x, code[0], noise[0])
        rgb = self.to_rgb1(x, code[1])
        have = whole(4)
        for i, (level, condition) in enumerate(zip(levels, conditions, strict=True)):
            first, part = 2 * i, level.painted
            x, rgb = (cut(layer, have, halved(part)) for layer in (x, rgb))
            grain = [cut(full, whole(level.side), part) for full in noise[first + 1 : first + 3]]
            scale, shift = (cut(layer, level.read, part) for layer in condition)
            x = self.style_convs[first](x, code[first + 1], grain[0], upsample=True)
            x = _condition(x, scale, shift)
            x = self.style_convs[first + 1](x, code[first + 2], grain[1])
            rgb = _resize(rgb, 2) + self.to_rgbs[i](x, code[first + 3])
            have = part
        return rgb


def _condition(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scales and shifts half of the channels by the input face; the other half is unchanged."""
    free, bound = x.chunk(2, dim=1)
    return torch.cat([free, bound * scale + shift], dim=1)


def _condition_layers() -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        for channels in UNET_CHANNELS[1:]
    )


class GFPGANv1Clean(nn.Module):
    """faces: (N, 3, 512, 512) float RGB [-1, 1] -> (N, 3, h, w), unclamped. Deterministic.

    window: the part of the image to compute; the upward path and the decoder are computed only for
    its receptive field. The downward path and the codes use the whole face.
    """

    def __init__(self) -> None:
        super().__init__()
        upwards = list(pairwise(UNET_CHANNELS))
        downwards = list(pairwise(UNET_CHANNELS[::-1]))
        self.conv_body_first = nn.Conv2d(3, UNET_CHANNELS[-1], 1)
        self.conv_body_down = nn.ModuleList(ResidualBlock(*io, scale=0.5) for io in downwards)
        self.final_conv = nn.Conv2d(UNET_CHANNELS[0], UNET_CHANNELS[0], 3, padding=1)
        self.conv_body_up = nn.ModuleList(ResidualBlock(*io, scale=2) for io in upwards)
        # Side outputs of the training; not used here, but in every weights file.
        self.toRGB = nn.ModuleList(nn.Conv2d(channels, 3, 1) for channels in UNET_CHANNELS[1:])
        self.final_linear = nn.Linear(UNET_CHANNELS[0] * 4 * 4, CODES * STYLE)
        self.stylegan_decoder = StyleDecoder()
        self.condition_scale = _condition_layers()
        self.condition_shift = _condition_layers()

    def forward(self, x: Tensor, window: Box = WHOLE) -> Tensor:
        if x.dim() != 4 or x.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"GFPGAN takes faces (N, 3, {SIZE}, {SIZE}), not {tuple(x.shape)}")
        plan = levels(window)
        painted = self.stylegan_decoder(*self.encode(x, plan), plan)
        return cut(painted, plan[-1].painted, window)

    def encode(
        self, x: Tensor, levels: Sequence[Level]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """-> the inputs of StyleDecoder: codes, and a scale and a shift for each level."""
        x = _leaky(self.conv_body_first(x))
        skips = []
        for down in self.conv_body_down:
            x = down(x)
            skips.append(x)
        x = _leaky(self.final_conv(x))
        codes = self.final_linear(x.flatten(1)).unflatten(1, (CODES, STYLE))
        return codes, self._conditions(x, skips[::-1], levels)

    def _conditions(
        self, x: Tensor, skips: list[Tensor], levels: Sequence[Level]
    ) -> list[tuple[Tensor, Tensor]]:
        conditions = []
        have = whole(4)
        for i, (level, skip) in enumerate(zip(levels, skips, strict=True)):
            part = halved(level.read)
            x = cut(x, have, part) + cut(skip, whole(level.side // 2), part)
            x = self.conv_body_up[i](x)
            conditions.append((self.condition_scale[i](x), self.condition_shift[i](x)))
            have = level.read
        return conditions


class InWindow(nn.Module):
    """A network and a window of it, as one module: (N, 3, 512, 512) -> (N, 3, h, w)."""

    def __init__(self, network: nn.Module, window: Box) -> None:
        super().__init__()
        self.network = network
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        painted: Tensor = self.network(x, self.window)
        return painted
