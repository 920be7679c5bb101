"""The published restorers with tiny networks; what stands around these is as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from GFPGAN.window import WHOLE, cut
from latentsync.types import Box
from tests.parity.rule import published_shapes, weight
from tests.support.small_codeformer import shrink, small_weights


class OneLayer(nn.Module):
    """Is called as GFPGANv1Clean."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor, window: Box = WHOLE) -> Tensor:
        return cut(self.colours(x), WHOLE, window)


def write_tiny_restorer(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """-> path, of the weights.

    name: GFPGAN, which from now on gives negatives, or CodeFormer, whose channels are all the same:
    making millions of different numbers takes seconds.
    """
    if name == "GFPGAN":
        monkeypatch.setattr("GFPGAN.restorer.GFPGANv1Clean", OneLayer)
        state = {"colours.weight": -torch.eye(3)[:, :, None, None], "colours.bias": torch.zeros(3)}
    else:
        shrink(monkeypatch)
        shapes = published_shapes("codeformer").items()
        rows = {key: weight(key, (1, *shape[1:])).expand(shape) for key, shape in shapes}
        state = small_weights(rows)
    torch.save({"params_ema": state}, path)
    return path
