"""Work for processes that are started anew, which import it by its name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path

from latentsync.errors import ConfigError, MediaError
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.workers import Work


class Squares:
    """A Start."""

    def __call__(self) -> Work:
        return squared


class Broken:
    """A Start that cannot."""

    def __call__(self) -> Work:
        raise ConfigError("no", "models", "get them")


class Filling:
    """A Start of tasks that find the disk full."""

    def __call__(self) -> Work:
        return filled


def filled(number: int, tick: Callable[[], None]) -> int:
    if number > 1:
        with writing("a clip", Path("clips")):
            raise OSError(ENOSPC, "No space left on device")
    return number


def squared(number: int, tick: Callable[[], None]) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        raise MediaError("a bad one", number, "leave it")
    for _ in range(30):
        tick()
    return number**2
