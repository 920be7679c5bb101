"""The device that the networks run on: chosen once, by name; afterwards read from the tensors."""

from __future__ import annotations

import torch

from latentsync.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """auto | cpu | cuda | mps. `auto` is the fastest that this machine has. Raises ConfigError."""
    available = _available()
    if name == "auto":
        return torch.device(available[-1])
    if name not in available:
        raise ConfigError("--device", name, f"use one of {', '.join(('auto', *available))}")
    return torch.device(name)


def _available() -> list[str]:
    """From the slowest to the fastest."""
    present = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available(),
    }
    return [name for name, there in present.items() if there]


def limit_threads(count: int) -> None:
    """CPU threads for the networks; 0 leaves PyTorch's own choice. Raises ConfigError below 0."""
    if count < 0:
        raise ConfigError("runtime.threads", count, "use a positive number, or 0 for all cores")
    if count:
        torch.set_num_threads(count)
