"""What each choice of the design costs when many videos are rendered on many machines.

    python -m benchmarks.scale_simulation [--times FILE.json] [--only segment lease ...]

Prints Markdown tables from the simulation in benchmarks.scale_model. FILE.json: fields of Times, as
measured with another machine or restorer; what it leaves out is that of the defaults.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.scale_model import Cluster, Design, Result, Simulation, Times

SEEDS = 2
VIDEOS = (600.0,) * 200
"""Seconds: 33 hours."""


@dataclass(frozen=True, slots=True)
class Choice:
    """title: of the table. values: of what is chosen. made: a value -> what is simulated."""

    title: str
    values: Sequence[float]
    made: Callable[[float, Times], tuple[Times, Cluster, Design]]


def _with_loss(cluster: Cluster, hours: float) -> Cluster:
    return replace(cluster, loss=hours)


SPOT = Cluster(loss=2.0)
"""Machines that may be taken away at any time: one of twenty every six minutes."""
CHOICES = {
    "segment": Choice(
        "Length of a segment [s], machines last 24 h",
        (5, 10, 20, 40, 80),
        lambda value, times: (times, Cluster(), Design(length=value)),
    ),
    "segment, spot": Choice(
        "Length of a segment [s], machines last 2 h",
        (5, 10, 20, 40, 80, 600),
        lambda value, times: (times, SPOT, Design(length=value)),
    ),
    "lease": Choice(
        "Lease [s], machines last 2 h",
        (5, 10, 30, 60, 300),
        lambda value, times: (times, replace(SPOT, stalls=2.0), Design(lease=value)),
    ),
    "attempts": Choice(
        "Attempts at a task, 1 of 100 fails",
        (1, 2, 3, 5),
        lambda value, times: (times, Cluster(failure=0.01), Design(attempts=int(value))),
    ),
    "workers": Choice(
        "Workers of a machine of 16 cores",
        (1, 2, 4, 8, 16),
        lambda value, times: (
            replace(times, together=8 * times.together),
            Cluster(machines=4),
            Design(workers=int(value)),
        ),
    ),
    "loss": Choice(
        "Mean hours until a machine is lost (0: never)",
        (0, 24, 6, 2, 0.5),
        lambda value, times: (times, Cluster(loss=value), Design()),
    ),
}
COLUMNS = (
    "| | hours | of the ideal | extra of segments | done in vain | a video takes, median (95 %) "
    "| videos failed | tasks taken from the living |"
)


def figures(choice: Choice, times: Times, seeds: int = SEEDS) -> Iterator[str]:
    """Lines of a Markdown table; means over the seeds."""
    yield COLUMNS.replace("| |", f"| {choice.title} |", 1)
    yield "|---" * (COLUMNS.count("|") - 1) + "|"
    for value in choice.values:
        made, cluster, design = choice.made(value, times)
        results = [Simulation(made, cluster, design, VIDEOS, seed).run() for seed in range(seeds)]
        yield _row(value, results, ideal_seconds(made, cluster, design))


def ideal_seconds(times: Times, cluster: Cluster, design: Design) -> float:
    """All work, spread evenly over machines that are never idle and lose nothing."""
    frames = sum(round(one * times.rate) for one in VIDEOS)
    at_once = cluster.machines * min(design.workers, times.together)
    return frames * (times.plan + times.render + times.join) / at_once


def _row(value: float, results: Sequence[Result], ideal: float) -> str:
    def mean(of: Callable[[Result], float]) -> float:
        return float(np.mean([of(one) for one in results]))

    spent = mean(lambda one: one.useful + one.extra + one.lost)
    took = np.concatenate([one.took for one in results]) / 60
    half, most = np.percentile(took, [50, 95]) if len(took) else (np.nan, np.nan)
    total = mean(lambda one: one.total)
    return (
        f"| {value:g} | {total / 3600:.2f} | {total / ideal:.2f} "
        f"| {mean(lambda one: one.extra) / spent:.1%} | {mean(lambda one: one.lost) / spent:.2%} "
        f"| {half:.0f} ({most:.0f}) min | {mean(lambda one: one.failed):.1f} of {len(VIDEOS)} "
        f"| {mean(lambda one: one.stolen):.1f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=Path, metavar="FILE.json", help="measured stage times")
    parser.add_argument("--only", nargs="+", choices=tuple(CHOICES), metavar="CHOICE")
    options = parser.parse_args(arguments)
    times = Times()
    if options.times is not None:
        times = Times(**json.loads(options.times.read_text("utf-8")))
    print(times)
    for name in options.only or CHOICES:
        print()
        for line in figures(CHOICES[name], times):
            print(line, flush=True)


if __name__ == "__main__":
    main()
