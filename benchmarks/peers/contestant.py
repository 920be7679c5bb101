"""What one way of doing the work offers for measuring, and the table of all of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

NETWORK = "network"
"""Task: one face, or what `about` says, through the network alone."""


def around(clip: str) -> str:
    """Task: everything but the network, which is replaced by a function that returns its input."""
    return f"around, {clip}"


def all_in(clip: str) -> str:
    """Task: from decoding to the composite."""
    return f"all in, {clip}"


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """about: versions and settings, for people. work: task -> what does it once, and returns the
    number of frames, images or steps that it did."""

    about: str
    work: Mapping[str, Callable[[], int]]


@dataclass(frozen=True, slots=True)
class Setup:
    """folder: of clips, weights and converted networks. frames: in a chunk of the generators."""

    folder: Path
    frames: int


CONTESTANTS: dict[str, dict[str, str]] = {
    "gfpgan": {
        "ours": "benchmarks.peers.ours:gfpgan",
        "ours, whole face": "benchmarks.peers.ours:gfpgan_face",
        "facefusion": "benchmarks.peers.facefusion:gfpgan",
        "GFPGAN's script": "benchmarks.peers.official:gfpgan",
    },
    "codeformer": {
        "ours": "benchmarks.peers.ours:codeformer",
        "facefusion": "benchmarks.peers.facefusion:codeformer",
        "CodeFormer's script": "benchmarks.peers.official:codeformer",
    },
    "latentsync": {
        "ours": "benchmarks.peers.generators:latentsync",
        "LatentSync's loop": "benchmarks.peers.generators:upstream_latentsync",
    },
    "musetalk": {
        "ours": "benchmarks.peers.generators:musetalk",
        "MuseTalk's loop": "benchmarks.peers.generators:upstream_musetalk",
    },
}
"""Network -> who runs it -> what makes the contestant; ours comes first."""
RESTORERS = ("gfpgan", "codeformer")


def load(network: str, name: str, setup: Setup) -> Contestant:
    """Loads what it runs, in this process."""
    module, _, function = CONTESTANTS[network][name].partition(":")
    make: Callable[[Setup], Contestant] = getattr(importlib.import_module(module), function)
    return make(setup)
