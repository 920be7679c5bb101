"""Chooses the device of the networks, once, by name; afterwards it is read from the tensors."""

from __future__ import annotations

from functools import cache

import torch

from latentsync.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """auto | cpu | cuda | mps. `auto`: the fastest of this machine. Raises ConfigError."""
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


def thread_count(wanted: int) -> int:
    """runtime.threads as a number of CPU threads; 0: all cores. The process is not changed.

    Raises ConfigError below 0.
    """
    if wanted < 0:
        raise ConfigError("runtime.threads", wanted, "use a positive number, or 0 for all cores")
    return wanted or _all_cores()


@cache
def _all_cores() -> int:
    return torch.get_num_threads()


_all_cores()  # PyTorch's default, read before anything changes it
