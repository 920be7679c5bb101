"""Networks with weights made by rule, as the golden files were made."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from tests.parity.rule import weight

M = TypeVar("M", bound=nn.Module)


def filled(network: M) -> M:
    """The network, ready to run; position encodings stay as constructed: they are a formula."""
    state = {
        key: value if key.endswith(".pe") else weight(key, tuple(value.shape))
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)
