"""Less memory for more time: activations that are computed again when gradients need them.

Known as gradient checkpointing. It changes no key of a network, and nothing where no gradient is
computed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Recomputing(nn.Module):
    """A network, or a stage of one, that runs its parts one by one."""

    recomputes = False
    """Whether only the inputs of its parts are kept for the backward pass; see `recompute`."""

    def _run(self, part: nn.Module, *inputs: Any) -> Any:
        if self.recomputes and torch.is_grad_enabled():
            return checkpoint(part, *inputs, use_reentrant=False)
        return part(*inputs)


def recompute(network: nn.Module, wanted: bool = True) -> None:
    """Switches it on or off for all of the network. Raises ValueError where no part of it can."""
    able = [module for module in network.modules() if isinstance(module, Recomputing)]
    if not able:
        raise ValueError(f"{type(network).__name__} cannot compute its activations again")
    for module in able:
        module.recomputes = wanted
