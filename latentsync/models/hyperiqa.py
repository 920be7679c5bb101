"""HyperIQA, a score of how good an image looks, with no other to compare it with.

Checkpoint-compatible with `koniq_pretrained.pkl`; after Su et al., "Blindly Assess Image Quality
in the Wild Guided by a Self-Adaptive Hyper Network", CVPR 2020. A ResNet-50 describes the image,
and a second network makes from the content the weights of a third, which scores the description.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

SIDE = 224
"""Side of an image [pixels]."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of RGB in [0, 1], by which images are normalised."""
_MAP = 7  # side of the coarsest feature map, and of what is pooled of the finer ones
_CONTENT = 112  # channels of the map that the weights are made from
_WIDTHS = (224, 112, 56, 28, 14)  # of the scoring network; then 1
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride
_EXPANSION = 4
_LOCAL = (16, 32, 64)  # channels of the finer maps' descriptions, before they are pooled
_LOCAL_OUT, _GLOBAL_OUT = 16, 176


class Scorer(NamedTuple):
    """One image's scoring network. weights: (B, out, in) each, from 224 to 1; biases: (B, out)."""

    weights: list[Tensor]
    biases: list[Tensor]


class HyperIqa(nn.Module):
    """images: (N, 3, 224, 224) float RGB, normalised -> (N,) scores, about 0 to 100."""

    def __init__(self) -> None:
        super().__init__()
        self.res = _Backbone()
        widths = (_STAGES[-1][0] * _EXPANSION, 1024, 512, _CONTENT)
        convolutions = [nn.Conv2d(a, b, 1) for a, b in pairwise(widths)]
        self.conv1 = nn.Sequential(*(m for c in convolutions for m in (c, nn.ReLU())))
        for number, (inputs, outputs) in enumerate(pairwise(_WIDTHS), start=1):
            maps = inputs * outputs // _MAP**2
            setattr(self, f"fc{number}w_conv", nn.Conv2d(_CONTENT, maps, 3, padding=1))
            setattr(self, f"fc{number}b_fc", nn.Linear(_CONTENT, outputs))
        self.fc5w_fc = nn.Linear(_CONTENT, _WIDTHS[-1])
        self.fc5b_fc = nn.Linear(_CONTENT, 1)

    def forward(self, images: Tensor) -> Tensor:
        return scored(*self.describe(images))

    def describe(self, images: Tensor) -> tuple[Tensor, Scorer]:
        """The description (N, 224) of each image, and the network that scores it."""
        description, features = self.res(images)
        content = self.conv1(features)
        mean = content.mean(dim=(2, 3))
        weights, biases = [], []
        for number, (inputs, outputs) in enumerate(pairwise(_WIDTHS), start=1):
            flat = getattr(self, f"fc{number}w_conv")(content).flatten(1)
            weights.append(flat.unflatten(1, (outputs, inputs)))
            biases.append(getattr(self, f"fc{number}b_fc")(mean))
        weights.append(self.fc5w_fc(mean)[:, None])
        biases.append(self.fc5b_fc(mean))
        return description, Scorer(weights, biases)


def scored(description: Tensor, scorer: Scorer) -> Tensor:
    """(N, 224) and the network of each -> (N,) scores."""
    layers = list(zip(scorer.weights, scorer.biases, strict=True))
    values = description
    for weight, bias in layers[:-1]:
        values = _applied(weight, bias, values).sigmoid()
    return _applied(*layers[-1], values)[:, 0]


def normalised(images: Tensor) -> Tensor:
    """(N, 3, 224, 224) float RGB [0, 1] -> the same shape, as HyperIqa takes it."""
    mean, deviation = (images.new_tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
    return (images - mean) / deviation


def _applied(weight: Tensor, bias: Tensor, values: Tensor) -> Tensor:
    """(N, out, in), (N, out), (N, in) -> (N, out): a linear layer for each image."""
    return torch.baddbmm(bias[..., None], weight, values[..., None])[..., 0]


class _Backbone(nn.Module):
    """(N, 3, 224, 224) -> description (N, 224), features (N, 2048, 7, 7). A ResNet-50."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        before, side = 64, SIDE // 4
        for number, (width, blocks, stride) in enumerate(_STAGES, start=1):
            self.add_module(f"layer{number}", _stage(before, width, blocks, stride))
            before = width * _EXPANSION
        for number, ((width, _, _), channels) in enumerate(
            zip(_STAGES[:-1], _LOCAL, strict=True), 1
        ):
            squeeze = nn.Conv2d(width * _EXPANSION, channels, 1, bias=False)
            self.add_module(f"lda{number}_pool", nn.Sequential(squeeze, nn.AvgPool2d(_MAP)))
            places = (side // _MAP) ** 2
            self.add_module(f"lda{number}_fc", nn.Linear(channels * places, _LOCAL_OUT))
            side //= 2
        self.lda4_fc = nn.Linear(before, _GLOBAL_OUT)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool(self.bn1(self.conv1(images)).relu())
        described = []
        for number in range(1, len(_STAGES)):
            x = getattr(self, f"layer{number}")(x)
            local = getattr(self, f"lda{number}_pool")(x).flatten(1)
            described.append(getattr(self, f"lda{number}_fc")(local))
        x = getattr(self, f"layer{len(_STAGES)}")(x)
        described.append(self.lda4_fc(x.mean(dim=(2, 3))))
        return torch.cat(described, dim=1), x


class _Bottleneck(nn.Module):
    """(N, c, h, w) -> (N, 4 width, h / stride, w / stride)."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * _EXPANSION
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        if stride != 1 or before != after:
            shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(after))
        else:
            self.downsample = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


def _stage(before: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Bottleneck(before, width, stride)
    others = (_Bottleneck(width * _EXPANSION, width, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
