"""The two passes of a group norm over its tensor, in Triton: sums by channel, then the result."""

from __future__ import annotations

import importlib
import logging
import subprocess
from functools import cache
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

CHANNELS, TOKENS, STEPS = 64, 64, 8
"""Of a program: channels, tokens at once, and how often."""


@cache
def available() -> bool:
    """Whether Triton is there and can make kernels, for which it needs a C compiler."""
    try:
        _kernels()
        sums(torch.ones(1, 2, 2, device="cuda"))
    except _failures() as error:
        logger.info("Triton makes no kernels here (%s): group norms are slower", error)
        return False
    return True


def _failures() -> tuple[type[Exception], ...]:
    """With Triton's own: its compiler does not know every GPU."""
    known = (ImportError, RuntimeError, OSError, subprocess.SubprocessError)
    try:
        return (*known, importlib.import_module("triton.errors").TritonError)
    except ImportError:
        return known


def sums(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """(N, T, C), contiguous -> over T the sums of the values and of their squares, (N, C)
    float32."""
    count, length, channels = tokens.shape
    parts = -(-length // (TOKENS * STEPS))
    made = torch.empty(2, count, parts, channels, dtype=torch.float32, device=tokens.device)
    grid = (count, parts, -(-channels // CHANNELS))
    _kernels().sums[grid](tokens, made[0], made[1], length, channels, CHANNELS, TOKENS, STEPS)
    total, squares = made.sum(2)
    return total, squares


def applied(tokens: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(N, T, C), contiguous; scale and shift (N, C) float32 -> scaled and shifted, same dtype."""
    count, length, channels = tokens.shape
    made = torch.empty_like(tokens)
    grid = (count, -(-length // TOKENS), -(-channels // CHANNELS))
    _kernels().applied[grid](tokens, scale, shift, made, length, channels, CHANNELS, TOKENS)
    return made


def _kernels() -> Any:
    return importlib.import_module("latentsync.runtime.triton_kernels")
