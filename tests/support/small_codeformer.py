"""CodeFormer for faces of a quarter of the side: the same layers with a sixteenth of the work.

Only the transformer's position table is cut. What does not depend on the size is shown with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from CodeFormer import network, parts, restorer
from tests.parity.rule import face, published_shapes, weights

SIDE, CELLS = 128, 4


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on CodeFormer takes faces (N, 3, 128, 128), and has 4 x 4 codes for each."""
    for module in (network, parts, restorer):
        monkeypatch.setattr(module, "SIZE", SIDE)
    for module in (network, parts):
        monkeypatch.setattr(module, "GRID", CELLS)
    monkeypatch.setattr(restorer.CodeFormerRestorer, "size", SIDE)


def small_weights(full: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """full: weights of the published shapes; by default those made by rule. Tensors are shared."""
    state = dict(weights(published_shapes("codeformer")) if full is None else full)
    return state | {"position_emb": state["position_emb"][: CELLS**2].clone()}


def small_face(name: str) -> Tensor:
    """(1, 3, 128, 128) float32 RGB [-1, 1]."""
    return face(name)[:, :, :SIDE, :SIDE].contiguous()


def small_network(full: Mapping[str, Tensor]) -> network.CodeFormer:
    """After ``shrink``: the network with these weights."""
    with torch.device("meta"):
        small = network.CodeFormer()
    small.load_state_dict(small_weights(full), assign=True)
    return small.eval().requires_grad_(False)
