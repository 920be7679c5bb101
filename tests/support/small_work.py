"""Work for processes that are started anew, which import it by its name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from latentsync.errors import ConfigError, MediaError
from latentsync.training.preparation.workers import Work


class Squares:
    """A Start."""

    def __call__(self) -> Work:
        return squared


class Broken:
    """A Start that cannot."""

    def __call__(self) -> Work:
        raise ConfigError("no", "models", "get them")


def squared(number: int, tick: Callable[[], None]) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        raise MediaError("a bad one", number, "leave it")
    for _ in range(30):
        tick()
    return number**2
