"""CodeFormer in three parts, so that the one that rates the codes can run in float32.

Which code is used is decided in between: see Choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from CodeFormer.network import CHANNELS, CODE, GRID, KEPT_AFTER, SIZE, CodeFormer
from latentsync.runtime.network import Networks, Part


class Encoder(nn.Module):
    """(N, 3, 512, 512) -> features, and the maps kept for the fusion, the largest first."""

    def __init__(self, network: CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        features, kept = self.network.encode(faces)
        return features, *kept


class Scorer(nn.Module):
    """Features -> logits (N, 256, 1024): how well each codebook entry fits each place."""

    def __init__(self, network: CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        return self.network.logits(features)


class Painter(nn.Module):
    """Codes, features, w (1,) and the encoder's maps -> faces. adain: see CodeFormer."""

    def __init__(self, network: CodeFormer, *, adain: bool = True) -> None:
        super().__init__()
        self.network, self.adain = network, adain

    def forward(self, codes: Tensor, features: Tensor, w: Tensor, *kept: Tensor) -> Tensor:
        style = features if self.adain else None
        return self.network.paint(codes, list(kept), w, style=style)


class PlainPainter(nn.Module):
    """The same for w = 0, without the encoder's maps."""

    def __init__(self, network: CodeFormer, *, adain: bool = True) -> None:
        super().__init__()
        self.network, self.adain = network, adain

    def forward(self, codes: Tensor, features: Tensor) -> Tensor:
        return self.network.paint(codes, [], 0.0, style=features if self.adain else None)


# In bf16 the transformer changes 6 of 100 codes, each a part of another face.
ENCODER = Part("encoder", lambda net: Encoder(cast(CodeFormer, net)))
SCORER = Part("transformer", lambda net: Scorer(cast(CodeFormer, net)), precise=True)

Choice = Callable[[Tensor], Tensor]
"""Logits (n, 256, 1024) -> (n, 256) int64, the codebook entries to use."""


def best(logits: Tensor) -> Tensor:
    """The choice of the original network: the entry that fits best."""
    return logits.argmax(dim=2)


class CodeFormerInParts:
    """The network, run by networks.execution. adain: see CodeFormer.

    __call__: faces (n, 3, 512, 512) -> the same shape, unclamped. choose: called once.
    """

    def __init__(self, networks: Networks, *, w: float, adain: bool = True) -> None:
        face = torch.zeros(1, 3, SIZE, SIZE)
        codes = torch.zeros(1, GRID * GRID, dtype=torch.int64)
        features, *kept = _encoded_shapes()
        self._w = torch.tensor([w])
        self._encode = networks.part(ENCODER, face)
        self._score = networks.part(SCORER, features)
        how = "" if adain else " without adain"
        if w > 0:
            part = Part(f"generator{how}", lambda net: Painter(cast(CodeFormer, net), adain=adain))
            self._paint = networks.part(part, codes, features, self._w, *kept)
        else:
            part = Part(
                f"generator without fusion{how}",
                lambda net: PlainPainter(cast(CodeFormer, net), adain=adain),
            )
            self._paint = networks.part(part, codes, features)

    def __call__(self, faces: Tensor, choose: Choice = best) -> Tensor:
        features, *kept = self._encode(faces)
        codes = choose(self._score(features)[0])
        if self._w > 0:
            return self._paint(codes, features, self._w, *kept)[0]
        return self._paint(codes, features)[0]

    def codes(self, faces: Tensor) -> Tensor:
        """(n, 256) int64: the codebook entries chosen."""
        return best(self._score(self._encode(faces)[0])[0])


def _encoded_shapes() -> list[Tensor]:
    """Tensors of the shapes of Encoder's outputs for one face."""
    maps = [
        torch.zeros(1, channels, SIZE >> level, SIZE >> level)
        for level, channels in enumerate(CHANNELS)
    ]
    return [torch.zeros(1, CODE, GRID, GRID), *maps[1 : 1 + len(KEPT_AFTER)]]
