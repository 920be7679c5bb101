"""LPIPS 0.1 with VGG16: how different two images look to people (Zhang et al., CVPR 2018).

Its weights come in two files: those of torchvision's VGG16, and the few that LPIPS adds, as they
are published by richzhang/PerceptualSimilarity.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""By which RGB in [-1, 1] is normalised."""
_EPSILON = 1e-10
_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
FEATURES = "features."
"""Beginning of the keys of VGG16's file that are used; the others are its classifier's."""


class VggTrunk(nn.Module):
    """images: (N, 3, h, w), normalised -> the last feature map of each of the five stages.

    Keys as in torchvision's file that begin with FEATURES (`features.N.weight`).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for number, stage in enumerate(_STAGES):
            if number:
                layers.append(nn.MaxPool2d(2))
            for before, after in pairwise((channels, *stage)):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
            channels = stage[-1]
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps, x = [], images
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        return [*maps, x]


class _Linear(nn.Module):
    """(N, c, h, w) -> (N, 1, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The first stands for a dropout, which counts in the keys.
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = self.model(x)
        return weighted


class LpipsLayers(nn.Module):
    """Squared differences of five feature maps -> (N,): weighted, averaged over the image, added.

    Keys as in LPIPS' file (`lin0.model.1.weight`).
    """

    def __init__(self) -> None:
        super().__init__()
        for number, stage in enumerate(_STAGES):
            self.add_module(f"lin{number}", _Linear(stage[-1]))

    def forward(self, squares: list[Tensor]) -> Tensor:
        layers = list(self.children())
        means = [layer(x).mean(dim=(1, 2, 3)) for layer, x in zip(layers, squares, strict=True)]
        total: Tensor = sum(means[1:], start=means[0])
        return total


class Lpips(nn.Module):
    """(N, 3, h, w) float32 RGB [-1, 1] twice -> (N,) distances. h and w: 16 at least."""

    def __init__(self, trunk: VggTrunk, layers: LpipsLayers) -> None:
        super().__init__()
        self.trunk, self.layers = trunk, layers

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        maps = (self.trunk(_normalised(images)) for images in (first, second))
        pairs = zip(*maps, strict=True)
        return self.layers([(_unit(a) - _unit(b)).square() for a, b in pairs])


def _normalised(images: Tensor) -> Tensor:
    shift, scale = (images.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
    return (images - shift) / scale


def _unit(x: Tensor) -> Tensor:
    """Each position's channels, of length 1."""
    squared = x.square().sum(dim=1, keepdim=True)
    return x / (squared.clamp_min(_EPSILON**2).sqrt() + _EPSILON)  # at 0 a root has no gradient
