"""Shared by the download tests: a file, a counting progress bar, a download with short waits."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from latentsync.weights.download import RetryPolicy, download

BODY = np.random.default_rng(0).bytes(1_000_000)
OTHER = BODY[::-1]
SIZE, SHA256 = len(BODY), hashlib.sha256(BODY).hexdigest()
QUICK = RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.05, stall=0.5)


class Bar:
    """Counts what a progress bar would show."""

    def __init__(self) -> None:
        self.total = self.shown = -1

    @contextlib.contextmanager
    def __call__(self, title: str, total: int, /) -> Iterator[Callable[[int], None]]:
        assert title == "net.pth"
        self.total, self.shown = total, 0
        yield self.step

    def step(self, count: int) -> None:
        self.shown += count


def get(url: str, target: Path, **changed) -> Bar:
    """Downloads BODY as net.pth. Returns the bar."""
    known = {"size": SIZE, "sha256": SHA256, "retry": QUICK, "progress": Bar()} | changed
    assert download(url, target, **known) == target
    return known["progress"]


def part_of(target: Path) -> Path:
    return target.with_name(f"net.pth.{SHA256[:8]}.part")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
