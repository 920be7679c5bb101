"""What is done once for a network: weights, ONNX graphs, and what this project converts.

    python -m benchmarks.peers.prepare NETWORK FOLDER FRAMES

In a process of its own, so that its memory is not counted as that of any contestant.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from benchmarks.peers.contestant import CONTESTANTS, RESTORERS, Setup, load
from benchmarks.peers.networks import export
from latentsync.commands.quiet import quiet_libraries

FILES = {"gfpgan": "gfpgan_v14", "codeformer": "codeformer"}


def prepare(network: str, setup: Setup) -> None:
    if network in RESTORERS:
        export(setup.folder, FILES[network])
    for name in CONTESTANTS[network]:
        if name.startswith("ours"):
            load(network, name, setup)


def main() -> None:
    network, folder, frames = sys.argv[1:]
    with quiet_libraries():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of the ONNX exporter
        prepare(network, Setup(Path(folder), int(frames)))


if __name__ == "__main__":
    main()
