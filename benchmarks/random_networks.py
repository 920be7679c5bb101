"""Networks with random weights, which run as fast as trained ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch
from torch import Tensor, nn

from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks

M = TypeVar("M", bound=nn.Module)


def networks(
    make: Callable[[], nn.Module],
    execution: Execution,
    *,
    name: str = "network",
    sources: Sequence[ModuleType] = (),
) -> Networks:
    """The same random weights in each run, so that converted graphs can be kept. name, sources: of
    the network, see Networks."""

    def build(dtype: torch.dtype) -> nn.Module:
        torch.manual_seed(0)
        return random_weights(make, execution.device, dtype)

    return Networks(
        build,
        name=f"{name} with random weights",
        checkpoint=Path(__file__),
        execution=execution,
        sources=sources,
    )


def random_weights(make: Callable[[], M], device: torch.device, dtype: torch.dtype) -> M:
    """The network, for evaluation only, with weights of a size that keeps activations finite."""
    with torch.device("meta"):
        network = make()
    state = {
        key: _random(value, device, dtype) if value.is_meta else value.to(device, dtype)
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _random(like: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    value = torch.empty(like.shape, device=device, dtype=dtype)
    if like.dim() < 2:
        return value.fill_(0.5)
    bound = math.sqrt(3 / math.prod(like.shape[1:]))
    return value.uniform_(-bound, bound)
