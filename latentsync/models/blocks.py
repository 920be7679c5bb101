"""The stages of the U-Net: layers of a residual block, then attention to the audio, then attention
over time; the last two where the stage has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentsync.models.attention import SpatialTransformer
from latentsync.models.motion_module import MotionModule
from latentsync.models.recompute import Recomputing
from latentsync.models.resnet import Downsample, ResBlock, Upsample


class Conditions(NamedTuple):
    """Inputs of a layer beside x. embedding: (b, e). audio: (b f, s, audio)."""

    embedding: Tensor
    audio: Tensor
    frames: int


class Layers(NamedTuple):
    """The parts of one stage, in order; attentions and motion modules may be empty."""

    resnets: list[ResBlock]
    attentions: list[SpatialTransformer]
    motion_modules: list[MotionModule]


class Stage(Recomputing):
    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(layers.attentions)
        self.resnets = nn.ModuleList(layers.resnets)
        self.motion_modules = nn.ModuleList(layers.motion_modules)

    def _layer(self, index: int, x: Tensor, conditions: Conditions) -> Tensor:
        x = self._run(self.resnets[index], x, conditions.embedding, conditions.frames)
        if self.attentions:
            x = self._run(self.attentions[index], x, conditions.audio)
        if self.motion_modules:
            x = self._run(self.motion_modules[index], x, conditions.frames)
        return x


class DownBlock(Stage):
    """x: (b f) c_in h w -> the outputs of its layers, and the downsampled last one."""

    def __init__(self, layers: Layers, *, shrinks: bool) -> None:
        super().__init__(layers)
        channels = layers.resnets[-1].conv2.out_channels
        self.downsamplers = nn.ModuleList([Downsample(channels)] if shrinks else [])

    def forward(self, x: Tensor, conditions: Conditions) -> list[Tensor]:
        outputs = []
        for index in range(len(self.resnets)):
            x = self._layer(index, x, conditions)
            outputs.append(x)
        return outputs + [shrink(x) for shrink in self.downsamplers]


class MidBlock(Stage):
    """x: (b f) c h w -> the same. The one stage where a residual block comes last."""

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        x = self._layer(0, x, conditions)
        return self._run(self.resnets[1], x, conditions.embedding, conditions.frames)


class UpBlock(Stage):
    """x: (b f) c_in h w, skips: outputs of the down blocks, one for each layer, in order of use."""

    def __init__(self, layers: Layers, *, grows: bool) -> None:
        super().__init__(layers)
        channels = layers.resnets[-1].conv2.out_channels
        self.upsamplers = nn.ModuleList([Upsample(channels)] if grows else [])

    def forward(
        self, x: Tensor, skips: Sequence[Tensor], conditions: Conditions, *, first: int = 0
    ) -> Tensor:
        """Runs as many layers as there are skips, from number `first` on."""
        for index, skip in enumerate(skips, start=first):
            x = self._layer(index, torch.cat([x, skip], dim=1), conditions)
        return x

    def grow(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """x: (n, c, h, w) -> (n, c, *size) where the stage ends in an upsampler, else x."""
        for upsample in self.upsamplers:
            x = upsample(x, size)
        return x
