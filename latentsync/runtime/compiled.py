"""torch.compile: kernels for one network and one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from latentsync.errors import ConfigError


def check(device: torch.device) -> None:
    """Compiles a small function to test the compiler. Raises ConfigError where there is none."""
    run_once(torch.compile(_line), torch.ones(64, device=device))


def compile_module(module: nn.Module, *examples: Tensor) -> nn.Module:
    """Compiles the module for the examples' shapes; takes a minute. Raises ConfigError."""
    faster = cast(nn.Module, torch.compile(module, dynamic=False))
    run_once(faster, *examples)
    return faster


def run_once(function: Callable[..., Any], *examples: Tensor) -> None:
    """Compilation happens in the first call. Raises ConfigError where it fails."""
    from torch._dynamo.exc import TorchDynamoException  # the import takes seconds

    try:
        with torch.no_grad():
            function(*examples)
    except TorchDynamoException as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        remedy = f"it needs a working C++ compiler ({reason}); install g++, or use torch"
        raise ConfigError("runtime.backend", "compile", remedy) from error


def _line(x: Tensor) -> Tensor:
    return (x * 2 + 1).relu()
