"""The order in which a network's convolutions hold their weights in memory."""

from __future__ import annotations

import torch
from torch import nn


def lay_out(network: nn.Module, order: torch.memory_format) -> None:
    """Puts the weights of all 2-D convolutions in that order, in place.

    Module.to cannot: it stops at a modulated convolution's kernel, which has five axes, the first
    of length 1.
    """
    for value in (*network.parameters(), *network.buffers()):
        if value.dim() == 4:
            value.data = value.data.contiguous(memory_format=order)
        elif value.dim() == 5 and len(value) == 1:
            value.data = value.data[0].contiguous(memory_format=order)[None]
