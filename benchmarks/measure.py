"""How the benchmarks measure: in turns, medians, peak memory before the baseline is loaded."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from latentsync.runtime.execution import Execution, configure_execution
from latentsync.settings.schema import RuntimeConfig

ROUNDS = 3
LONGEST = 90.0  # seconds of all rounds; a slow machine does fewer rounds


def in_turns(work: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Name -> median seconds. Each runs once per round, so that a busy machine slows all alike.

    The first round is not counted. At least one more always runs.
    """
    found: dict[str, list[float]] = {name: [] for name in work}
    begin = time.perf_counter()
    for number in range(rounds + 1):
        for name, act in work.items():
            start = time.perf_counter()
            act()
            if number:
                found[name].append(time.perf_counter() - start)
        if number and time.perf_counter() - begin > LONGEST:
            break
    return {name: median(seconds) for name, seconds in found.items()}


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def execution(*, precision: str = "auto") -> Execution:
    """How a command would run its networks."""
    return configure_execution(RuntimeConfig(precision=precision))


def machine() -> dict[str, Any]:
    """The machine and software that the figures were measured with."""
    chosen = execution()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "amx": "amx_bf16" in _flags(),
        "avx512_bf16": "avx512_bf16" in _flags(),
        "execution": str(chosen),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8").splitlines() if path.is_file() else []


def _flags() -> set[str]:
    lines = [line for line in _cpuinfo() if line.startswith("flags")]
    return set(lines[0].split(":", 1)[1].split()) if lines else set()


def _processor() -> str:
    lines = [line for line in _cpuinfo() if line.startswith("model name")]
    return lines[0].split(":", 1)[1].strip() if lines else platform.processor()
