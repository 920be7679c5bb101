"""How the networks of a job run, and how many threads each kind of work may take."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import torch

from latentsync.restore.base import PUBLISHED, RESTORERS
from latentsync.runtime.device import choose_device, limit_threads
from latentsync.runtime.execution import REFERENCE, Execution, choose_execution
from latentsync.schema import RestoreConfig, RuntimeConfig


def settle(runtime: RuntimeConfig, *, networks: bool) -> Execution:
    """The execution with its number of threads, and the process's libraries set up for it.

    The stages run at the same time, so that none gains by threads of its own but a network: on two
    cores Detail took 25 ms a frame with two threads of PyTorch's, which wait for each other at
    every step, and 2 ms with one. networks: whether any runs; if not, nothing is looked for.
    Raises ConfigError.
    """
    cores = _all_cores()  # asked first, whatever is wanted
    threads = runtime.threads or cores
    limit_threads(threads)
    device = choose_device(runtime.device)
    execution = choose_execution(runtime) if networks else replace(REFERENCE, device=device)
    by_torch = networks and execution.backend != "openvino" and execution.device.type == "cpu"
    torch.set_num_threads(threads if by_torch else 1)
    cv2.setNumThreads(1)
    return replace(execution, threads=threads)


def is_network(restore: RestoreConfig) -> bool:
    """Whether the restorer is one, or may be: whatever is not of the table."""
    name = restore.name.lower()
    return name in PUBLISHED or name not in {known.lower() for known in RESTORERS}


@cache
def _all_cores() -> int:
    """What PyTorch takes by itself, asked before anything limits it."""
    return torch.get_num_threads()
