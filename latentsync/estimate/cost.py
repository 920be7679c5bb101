"""Costs of stages in seconds, and of a pass over a video whose stages overlap."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from latentsync.pipeline.stage_timer import Stage, StageTimer

T = TypeVar("T")

FEW = 4  # of the items that are timed; what the others cost more is the cost without beginnings
LONG = 5.0  # seconds; where a few take longer, they have to do


@dataclass(frozen=True, slots=True, eq=False)
class Cost:
    """Cost of one frame. stages: seconds of work, by name. cpu: seconds of all cores together."""

    stages: Mapping[str, float] = field(default_factory=dict)
    cpu: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        names = [*self.stages, *(name for name in other.stages if name not in self.stages)]
        stages = {n: self.stages.get(n, 0.0) + other.stages.get(n, 0.0) for n in names}
        return Cost(stages, self.cpu + other.cpu)

    def __mul__(self, share: float) -> Cost:
        """The average cost where only a share of the frames has it."""
        stages = {name: seconds * share for name, seconds in self.stages.items()}
        return Cost(stages, self.cpu * share)


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One pass over a video, whose stages work at the same time. frames: 0: unknown."""

    title: str
    frames: int
    cost: Cost
    cores: int

    @property
    def per_frame(self) -> float:
        """Seconds of the slowest stage, or of all work shared by the cores."""
        return max([self.cost.cpu / self.cores, *self.cost.stages.values()])

    @property
    def seconds(self) -> float:
        return self.frames * self.per_frame

    @property
    def slowest(self) -> str:
        """The stage that the others wait for; "the processor" where there are too few cores."""
        stages = self.cost.stages
        name = max(stages, key=lambda stage: stages[stage], default="")
        busy = self.cost.cpu / self.cores
        return name if name and stages[name] >= busy else "the processor"


def timed(name: str, act: Callable[[], object], count: float, *, times: int = 1) -> Cost:
    """Cost of one of the ``count`` items that act processes. times: number of runs."""
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        act()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return Cost({name: seconds / count / times}, cpu / count / times)


def of_one_more(act: Callable[[Sequence[T]], StageTimer], items: Sequence[T]) -> Cost:
    """Marginal cost of one item, by stage; act processes any number of items and returns a timer.

    One-time costs (a first call, a new shot) are left out where the items are fast enough for a
    short and a long run.
    """
    act(items[:1])
    few = items[:FEW]
    short, seconds = _read(lambda: act(few))
    if len(items) == len(few) or seconds > LONG:
        return short * (1 / len(few))
    long, _ = _read(lambda: act(items))
    more = len(items) - len(few)
    stages = {name: max(0.0, s - short.stages.get(name, 0.0)) for name, s in long.stages.items()}
    return Cost(stages, max(0.0, long.cpu - short.cpu)) * (1 / more)


def _read(act: Callable[[], StageTimer]) -> tuple[Cost, float]:
    """-> cost, seconds from start to end."""
    begin, cpu = time.perf_counter(), time.process_time()
    timer = act()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    worked = {name: value for name, value in timer.seconds.items() if value > 0}
    worked.pop(Stage.LOAD.value, None)  # once a run
    return Cost(worked, cpu), seconds
