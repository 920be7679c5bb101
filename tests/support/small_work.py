"""Work for processes that are started anew, which import it by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path

from latentsync.errors import ConfigError, MediaError
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.inputs import Input
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


class Marked:
    """A Start of inputs: a line in each file that it was begun. "slow ...": waits for a file "go
    on"."""

    def __call__(self) -> Work:
        return marked


def marked(one: Input, tick: Callable[[], None]) -> str:
    with one.path.open("a") as file:
        file.write("begun\n")
    tick()
    while one.name.startswith("slow") and not one.path.with_name("go on").exists():
        time.sleep(0.05)
        tick()
    return one.name


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
