"""A contestant in a process of its own, which does one task at a time when it is asked to.

    python -m benchmarks.peers.process NETWORK NAME FOLDER FRAMES

Each line of standard input is a task; for each a line of JSON is written to standard output.
Waiting processes use no CPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.measure import peak_megabytes
from benchmarks.peers.clips import CLIPS
from benchmarks.peers.contestant import Contestant, Setup, around, load

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Measured:
    """seconds, cores: of the clock, and of all cores together, for one frame, image or step. peak:
    memory [MB] of the process so far."""

    seconds: float
    cores: float
    peak: float


class Process:
    """A contestant that runs elsewhere. Ends with the ``with`` block."""

    def __init__(self, network: str, name: str, setup: Setup, environment: dict[str, str]) -> None:
        given = [network, name, str(setup.folder), str(setup.frames)]
        command = [sys.executable, "-m", "benchmarks.peers.process", *given]
        self._name = f"{network}, {name}"
        self._running = subprocess.Popen(
            command,
            env=os.environ | environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        first = self._answer()
        self.about: str = first["about"]
        self.tasks: list[str] = first["tasks"]

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._running.stdin is not None:
            self._running.stdin.close()  # its loop ends
        self._running.wait()

    def measure(self, task: str) -> Measured:
        """Raises RuntimeError where the process has ended."""
        assert self._running.stdin is not None
        try:
            self._running.stdin.write(f"{task}\n")
            self._running.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"{self._name}: its process has ended") from None
        return Measured(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name}: its process has ended, see its message above")
        found: dict[str, Any] = json.loads(line)
        return found


def measured(contestant: Contestant, task: str) -> Measured:
    wall, cores = time.perf_counter(), time.process_time()
    count = contestant.work[task]()
    wall, cores = time.perf_counter() - wall, time.process_time() - cores
    return Measured(wall / count, cores / count, peak_megabytes())


def serve(contestant: Contestant, tasks: IO[str], answers: IO[str]) -> None:
    """Does each task that a line names, until the lines end. The work around the network is done
    once before: the first time, modules are imported and memory is got."""
    if (first := around(CLIPS[0].name)) in contestant.work:
        contestant.work[first]()
    tell = {"about": contestant.about, "tasks": list(contestant.work)}
    print(json.dumps(tell), file=answers, flush=True)
    for line in tasks:
        found = measured(contestant, line.strip())
        print(json.dumps(asdict(found)), file=answers, flush=True)


def main() -> None:
    network, name, folder, frames = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not stand between the answers
    serve(load(network, name, Setup(Path(folder), int(frames))), sys.stdin, answers)


if __name__ == "__main__":
    main()
