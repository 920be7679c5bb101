"""Losses do not run in the lower precision that the caller's autocast asks for."""

from __future__ import annotations

import torch
from torch import nn


def as_given(device: torch.device) -> torch.autocast:
    """A context in which layers keep the dtype of their inputs and weights."""
    return torch.autocast(device.type, enabled=False)


def dtype_of(network: nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype
