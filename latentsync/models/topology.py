"""Builds the blocks of the U-Net from its widths, one for each resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from torch import nn

from latentsync.models.attention import SpatialTransformer
from latentsync.models.blocks import DownBlock, Layers, MidBlock, UpBlock
from latentsync.models.motion_module import MotionModule
from latentsync.models.resnet import ResBlock


class LayerMaker(NamedTuple):
    """(c_in, c_out) -> a residual block; channels -> a spatial, a temporal transformer."""

    res: Callable[[int, int], ResBlock]
    spatial: Callable[[int], SpatialTransformer]
    temporal: Callable[[int], MotionModule]

    def layers(self, widths: Sequence[tuple[int, int]], *, audio: bool, motion: bool) -> Layers:
        return Layers(
            [self.res(c_in, c_out) for c_in, c_out in widths],
            [self.spatial(c_out) for _, c_out in widths if audio],
            [self.temporal(c_out) for _, c_out in widths if motion],
        )


def middle(make: LayerMaker, width: int, *, motion: bool) -> MidBlock:
    resnets = [make.res(width, width) for _ in range(2)]
    return MidBlock(
        Layers(resnets, [make.spatial(width)], [make.temporal(width)] if motion else [])
    )


def way_down(
    make: LayerMaker,
    widths: Sequence[int],
    *,
    layers: int,
    audio: Sequence[bool],
    motion: Sequence[bool],
) -> nn.ModuleList:
    blocks = nn.ModuleList()
    for level, (c_in, c_out) in enumerate(pairwise((widths[0], *widths))):
        ios = [(c_in, c_out)] + [(c_out, c_out)] * (layers - 1)
        parts = make.layers(ios, audio=audio[level], motion=motion[level])
        blocks.append(DownBlock(parts, shrinks=level + 1 < len(widths)))
    return blocks


def way_up(
    make: LayerMaker,
    widths: Sequence[int],
    *,
    layers: int,
    audio: Sequence[bool],
    motion: Sequence[bool],
) -> nn.ModuleList:
    """audio, motion: by level, from the highest resolution, as in way_down."""
    blocks = nn.ModuleList()
    skips = _skip_widths(widths, layers - 1)
    width = widths[-1]
    for level in reversed(range(len(widths))):
        ios = []
        for _ in range(layers):
            ios.append((width + skips.pop(), widths[level]))
            width = widths[level]
        parts = make.layers(ios, audio=audio[level], motion=motion[level])
        blocks.append(UpBlock(parts, grows=level > 0))
    return blocks


def _skip_widths(widths: Sequence[int], layers: int) -> list[int]:
    """Widths of the skips: conv_in, then for each level its layers and its downsampler."""
    skips = [widths[0]]
    for width in widths:
        skips += [width] * (layers + 1)
    return skips[:-1]  # the lowest level has no downsampler
