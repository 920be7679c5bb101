"""Says what to set where GPU memory is not enough for a generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from latentsync.errors import ConfigError


@contextmanager
def enough_memory(settings: str, remedy: str) -> Iterator[None]:
    """Raises ConfigError in place of PyTorch's error. settings: that the memory depends on."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError("not enough GPU memory", settings, remedy) from None
