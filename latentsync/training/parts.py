"""Work on many frames, some at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_parts(function: Callable[..., Tensor], *rows: Tensor, size: int) -> Tensor:
    """rows: (N, ...) each -> (N, ...): results of the function, called with `size` rows at a time.

    With gradients only the rows themselves are kept: the backward pass calls the function again. It
    must not draw random numbers.
    """
    parts = zip(*(tensor.split(size) for tensor in rows), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([function(*part) for part in parts])
    again = [
        checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    return torch.cat(again)
