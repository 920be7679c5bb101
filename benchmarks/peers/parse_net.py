"""The network by which the official scripts find the parts of a face: its size and its work.

Structure from facts: 21,303,254 parameters, 469 GFLOP for a face of 512 px. Its weights are not
loaded: what it would find is not used.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

CLASSES = 19
CHANNELS = (64, 128, 256, 256, 256)
"""At the sides 512, 256, ... 32."""
DEPTH = 10  # residual blocks at 32
SLOPE = 0.2


def _conv(c_in: int, c_out: int, *, scale: str = "", norm: bool = True) -> nn.Sequential:
    """scale: up, down or nothing. A norm takes the place of the bias."""
    layers: list[nn.Module] = [nn.Upsample(scale_factor=2, mode="nearest")] if scale == "up" else []
    stride = 2 if scale == "down" else 1
    layers += [nn.ReflectionPad2d(1), nn.Conv2d(c_in, c_out, 3, stride, bias=not norm)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(c_out)] if norm else []))


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is one too where the size changes."""

    def __init__(self, c_in: int, c_out: int, scale: str = "") -> None:
        super().__init__()
        same = not scale and c_in == c_out
        self.shortcut = nn.Identity() if same else _conv(c_in, c_out, scale=scale, norm=False)
        first, second = ("up", "") if scale == "up" else ("", scale)
        self.first = nn.Sequential(_conv(c_in, c_out, scale=first), nn.LeakyReLU(SLOPE))
        self.second = _conv(c_out, c_out, scale=second)

    def forward(self, x: Tensor) -> Tensor:
        detail: Tensor = self.second(self.first(x))
        return self.shortcut(x) + detail


class ParseNet(nn.Module):
    """(N, 3, 512, 512) float RGB [-1, 1] -> (N, 19, 512, 512), the classes; a picture is made
    beside them, and not used."""

    def __init__(self) -> None:
        super().__init__()
        sides = list(pairwise(CHANNELS))
        down = [Block(c_in, c_out, "down") for c_in, c_out in sides]
        self.encoder = nn.Sequential(_conv(3, CHANNELS[0], norm=False), *down)
        self.body = nn.Sequential(*(Block(CHANNELS[-1], CHANNELS[-1]) for _ in range(DEPTH)))
        self.decoder = nn.Sequential(*(Block(c_out, c_in, "up") for c_in, c_out in reversed(sides)))
        self.picture = _conv(CHANNELS[0], 3, norm=False)
        self.classes = _conv(CHANNELS[0], CLASSES, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        features = self.decoder(features + self.body(features))
        self.picture(features)
        found: Tensor = self.classes(features)
        return found
