"""All contestants of a network in turns: round after round, each time in the other order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Protocol

from benchmarks.peers.process import Measured

Figures = dict[str, dict[str, Measured]]
"""Name of a contestant -> task -> medians; peak: when the task had been done for the first time."""


class Measurable(Protocol):
    """See benchmarks.peers.process.Process."""

    tasks: list[str]

    def measure(self, task: str) -> Measured: ...


def order(tasks: Sequence[str], names: Sequence[str], number: int) -> Iterator[tuple[str, str]]:
    """Task and contestant, in the order of that round: tasks as they are, so that the memory of a
    larger one is not counted as that of a smaller one; contestants to and fro."""
    for task in tasks:
        for name in names if number % 2 == 0 else reversed(names):
            yield task, name


def measure(
    running: Mapping[str, Measurable], *, skip: Sequence[str], rounds: int, seconds: float
) -> Figures:
    """skip: tasks that are left out. seconds: no round begins that would end later; one always
    runs."""
    found: dict[str, dict[str, list[Measured]]] = {name: {} for name in running}
    tasks = list(dict.fromkeys(t for one in running.values() for t in one.tasks if t not in skip))
    begin = time.perf_counter()
    for number in range(rounds):
        elapsed = time.perf_counter() - begin
        if number and elapsed * (number + 1) / number > seconds:
            break
        for task, name in order(tasks, list(running), number):
            if task in running[name].tasks:
                found[name].setdefault(task, []).append(running[name].measure(task))
    return {
        name: {task: _median(some) for task, some in by_task.items()}
        for name, by_task in found.items()
    }


def _median(some: Sequence[Measured]) -> Measured:
    return Measured(
        median(one.seconds for one in some), median(one.cores for one in some), some[0].peak
    )
