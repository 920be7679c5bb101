"""A discrete-event simulation of workers that render many videos in segments.

A worker leases a task (the plan of a video, a segment, the join), works on it for the measured time
times a random factor (stragglers), and may fail, stall or vanish with its machine; a vanished
worker's task comes back when its lease has run out. No time passes for real.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

PLAN, SEGMENT, JOIN = range(3)
"""Kinds of tasks, in the order in which a video needs them."""
RENEWAL = 2.0  # seconds between two signs of life, as jobs.worker.SIGN_OF_LIFE
BACK_OFF = (5.0, 30.0)  # seconds, as jobs.failures


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a worker alone on a machine. Defaults: Detail at 1080x1920 on two cores, from the
    figures in benchmarks/README.md: 64 ms a frame for the whole command, of which 2.4 s are
    start-up, 18 ms are the first pass; key frames and joining: `benchmarks.jobs segments`.

    plan, render, join: a frame. start: of a worker, until it takes its first task. segment: for
    each segment, beside its frames. seek: until its first frame is decoded. lead_in: frames that
    are rendered again. together: how many workers' stages one machine can run at full speed, as one
    worker's slowest stage leaves cores idle; more workers than that share.
    """

    plan: float = 0.018
    render: float = 0.036
    join: float = 0.0005
    start: float = 2.4
    segment: float = 0.1
    seek: float = 0.9
    lead_in: int = 0
    together: float = 1.0
    rate: float = 25.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Assumed. machines; loss: mean hours until a machine is lost; 0: none is. back: seconds until
    another takes its place. spread: standard deviation of the logarithm of a task's time. failure:
    chance that an attempt fails and may be tried again. stalls: of a worker, an hour; stall: median
    seconds of one (lognormal, deviation 1): a disk, a paused machine."""

    machines: int = 20
    loss: float = 24.0
    back: float = 300.0
    spread: float = 0.3
    failure: float = 0.002
    stalls: float = 0.5
    stall: float = 5.0


@dataclass(frozen=True, slots=True)
class Design:
    """What can be chosen. length, lease: seconds. workers: of a machine."""

    length: float = 20.0
    lease: float = 30.0
    attempts: int = 3
    workers: int = 1


@dataclass(slots=True)
class Result:
    """Worker-seconds: useful: at the frames that had to be made. extra: of segments (start, seek,
    lead-in). lost: work that was done in vain. frames: that were rendered and kept. ends: seconds
    until each video was complete, from the begin of all. waits: seconds that lost tasks waited for
    their lease. failed: videos. total: seconds until the last one was complete."""

    useful: float = 0.0
    extra: float = 0.0
    lost: float = 0.0
    waits: float = 0.0
    frames: int = 0
    failed: int = 0
    losses: int = 0
    stolen: int = 0
    ends: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    @property
    def total(self) -> float:
        return max(self.ends, default=0.0)


@dataclass(slots=True)
class _Task:
    """work, extra: seconds on an undisturbed worker."""

    job: int
    kind: int
    number: int
    frames: int
    work: float
    extra: float
    attempts: int = 0

    def __lt__(self, other: _Task) -> bool:
        """As the store orders them: the older video first."""
        return (self.job, self.kind, self.number) < (other.job, other.kind, other.number)


class Simulation:
    """videos: seconds of each. run() may be called once."""

    def __init__(
        self, times: Times, cluster: Cluster, design: Design, videos: Sequence[float], seed: int = 0
    ) -> None:
        self._times, self._cluster, self._design = times, cluster, design
        self._frames = [round(one * times.rate) for one in videos]
        self._chance = np.random.default_rng(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count, self._now = itertools.count(), 0.0
        self._ready: list[_Task] = []
        self._idle: list[int] = []
        self._life = [0] * (cluster.machines * design.workers)  # how often each was replaced
        self._busy: dict[int, tuple[_Task, float, float]] = {}  # task, begin, slowness
        self._left = [0] * len(videos)
        self._ended: set[int] = set()
        self._begun: dict[int, float] = {}
        self._result = Result()

    def run(self) -> Result:
        for job, frames in enumerate(self._frames):
            self._offer(_Task(job, PLAN, 0, 0, frames * self._times.plan, 0.0))
        for machine in range(self._cluster.machines):
            self._begin(machine)
        while self._events and len(self._ended) < len(self._frames):
            self._now, _, act = heapq.heappop(self._events)
            act()
        return self._result

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        """seconds: from now."""
        heapq.heappush(self._events, (self._now + seconds, next(self._count), act))

    def _begin(self, machine: int) -> None:
        count = self._design.workers
        for worker in range(machine * count, (machine + 1) * count):
            self._begin_worker(worker)
        if self._cluster.loss:
            lasts = self._chance.exponential(self._cluster.loss * 3600)
            self._at(lasts, lambda: self._lose(machine))

    def _begin_worker(self, worker: int) -> None:
        life = self._life[worker]
        self._at(self._times.start, lambda: self._if_alive(worker, life, self._free))

    def _lose(self, machine: int) -> None:
        self._result.losses += 1
        count = self._design.workers
        for worker in range(machine * count, (machine + 1) * count):
            self._life[worker] += 1
            if worker in self._idle:
                self._idle.remove(worker)
            if worker in self._busy:
                self._take_back(worker)
        self._at(self._cluster.back, lambda: self._begin(machine))

    def _take_back(self, worker: int) -> None:
        """The task of a worker that gives no more signs of life."""
        task, begin, _ = self._busy.pop(worker)
        self._result.lost += self._now - begin
        wait = self._design.lease - self._chance.uniform(0, RENEWAL)
        self._result.waits += max(wait, 0.0)
        self._at(max(wait, 0.0), lambda: self._offer(task))

    def _offer(self, task: _Task) -> None:
        if self._idle:
            self._start(self._idle.pop(), task)
        else:
            heapq.heappush(self._ready, task)

    def _free(self, worker: int) -> None:
        while self._ready:
            task = heapq.heappop(self._ready)
            if task.job not in self._ended:
                self._start(worker, task)
                return
        self._idle.append(worker)

    def _start(self, worker: int, task: _Task) -> None:
        task.attempts += 1
        self._begun.setdefault(task.job, self._now)
        share = max(1.0, self._design.workers / self._times.together)
        slow = share * self._factor()
        takes = (task.work + task.extra) * slow
        self._busy[worker] = (task, self._now, slow)
        life = self._life[worker]
        if self._chance.random() < self._cluster.failure:
            part = takes * self._chance.random()
            self._at(part, lambda: self._if_alive(worker, life, self._fail))
            return
        stalled, taken = self._stalls(takes)
        if taken is not None:
            self._at(taken[0], lambda: self._if_alive(worker, life, self._steal))
            self._at(taken[1], lambda: self._if_alive(worker, life, self._free))
            return
        self._at(takes + stalled, lambda: self._if_alive(worker, life, self._finish))

    def _factor(self) -> float:
        """Lognormal, mean 1."""
        spread = self._cluster.spread
        return float(np.exp(self._chance.normal(-(spread**2) / 2, spread))) if spread else 1.0

    def _stalls(self, takes: float) -> tuple[float, tuple[float, float] | None]:
        """Seconds of stalls in a task; when the lease ran out in one of them, and when it ended."""
        count = self._chance.poisson(self._cluster.stalls * takes / 3600)
        lengths = self._cluster.stall * np.exp(self._chance.normal(0, 1, count))
        longest = float(lengths.max(initial=0.0))
        allowed = self._design.lease - self._chance.uniform(0, RENEWAL)
        if longest <= allowed:
            return float(lengths.sum()), None
        begin = takes * self._chance.random()
        return float(lengths.sum()), (begin + allowed, begin + longest)

    def _if_alive(self, worker: int, life: int, act: Callable[[int], None]) -> None:
        if self._life[worker] == life:
            act(worker)

    def _steal(self, worker: int) -> None:
        """The worker stalls for longer than its lease: another one does its task again."""
        task, begin, _ = self._busy.pop(worker)
        self._result.stolen += 1
        self._result.lost += self._now - begin
        self._offer(task)

    def _fail(self, worker: int) -> None:
        task, begin, _ = self._busy.pop(worker)
        self._result.lost += self._now - begin
        if task.attempts >= self._design.attempts:
            self._result.failed += task.job not in self._ended
            self._ended.add(task.job)
        else:
            wait = BACK_OFF[min(task.attempts, len(BACK_OFF)) - 1]
            self._at(wait, lambda: self._offer(task))
        self._free(worker)

    def _finish(self, worker: int) -> None:
        task, _, slow = self._busy.pop(worker)
        self._result.useful += task.work * slow
        self._result.extra += task.extra * slow
        if task.job not in self._ended:
            self._follow(task)
        self._free(worker)

    def _follow(self, task: _Task) -> None:
        """What can be done now that the task is done."""
        frames = self._frames[task.job]
        if task.kind == PLAN:
            segments = list(self._segments(task.job, frames))
            self._left[task.job] = len(segments)
            for one in segments:
                self._offer(one)
        elif task.kind == SEGMENT:
            self._result.frames += task.frames
            self._left[task.job] -= 1
            if not self._left[task.job]:
                self._offer(_Task(task.job, JOIN, 0, 0, frames * self._times.join, 0.0))
        else:
            self._ended.add(task.job)
            self._result.ends.append(self._now)
            self._result.took.append(self._now - self._begun[task.job])

    def _segments(self, job: int, frames: int) -> Iterator[_Task]:
        times = self._times
        each = max(1, round(self._design.length * times.rate))
        for number, first in enumerate(range(0, frames, each)):
            count = min(each, frames - first)
            again = times.lead_in * times.render + times.seek if number else 0.0
            yield _Task(job, SEGMENT, number, count, count * times.render, times.segment + again)
