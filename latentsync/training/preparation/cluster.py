"""Processes on the machines of a Ray cluster that work on inputs, as those of `workers` do here.

The process that calls work_on_cluster assigns each input to one of them, and receives its result.
All machines read the videos, and write clips, under the same paths as it does.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError, LatentSyncError
from latentsync.jobs.failures import line_of
from latentsync.jobs.ray_cluster import (
    CONTROL,
    LOOK,
    RESTARTS,
    Share,
    Waiting,
    check_version,
    machines,
    new_process,
    shares,
)
from latentsync.training.preparation.cluster_process import Process, There
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.store import mark_of_run
from latentsync.training.preparation.workers import (
    AGAIN,
    FRAMES_PER_SECOND,
    Advanced,
    Done,
    Start,
    ended,
)

logger = logging.getLogger(__name__)

CORES = 2
"""CPU cores for each process."""
LOSSES = 3
"""Processes that may be lost with one input: it may be the input that ends them."""

Events = Generator[Done[Input] | Advanced[Input], None, None]


def work_on_cluster(
    ray: Any, tasks: Sequence[Input], start: Start, output: Path, *, workers: int | None
) -> Events:
    """Yields what happens, as workers.work_on does, until every task has ended once.

    ray: connected. workers: on each machine; None: one for each CORES cores. A machine on which
    `start` raises a LatentSyncError, or that does not see the output, is left out. An input whose
    process or machine dies is tried again, LOSSES times in all. Raises ConfigError: no machine is
    left.
    """
    with mark_of_run(output) as mark:
        run = _Run(ray, tasks, There(start, mark), workers)
        try:
            yield from run.events()
        finally:
            run.leave()


class _Run:
    """alive: the machines that can be used, at the last look. refused: why some are not."""

    def __init__(self, ray: Any, tasks: Sequence[Input], start: Start, workers: int | None) -> None:
        self.ray, self.start, self._workers = ray, start, workers
        self.waiting = list(reversed(tasks))
        self.losses: Counter[str] = Counter()
        self.alive: Mapping[str, Mapping[str, float]] = {}
        self.refused: list[str] = []
        self._seats: dict[tuple[int, str], _Seat] = {}

    def events(self) -> Events:
        looked = -math.inf
        while self.waiting or self._busy():
            if time.monotonic() - looked >= LOOK or not self._asked():
                looked = time.monotonic()
                self._take_places()
                yield from self._advanced()
            asked = self._asked()
            if not asked:
                why = "; ".join(self.refused) or "no machine with free cores"
                raise ConfigError("the cluster cannot work", why, "see docs/training_data.md")
            for reply in self.ray.wait(list(asked), timeout=LOOK)[0]:
                yield from asked[reply].answered()
            for seat in self._seats.values():
                seat.look()

    def leave(self) -> None:
        for seat in self._seats.values():
            seat.close()

    def _busy(self) -> list[_Seat]:
        return [seat for seat in self._seats.values() if seat.task is not None]

    def _asked(self) -> dict[Any, _Seat]:
        return {seat.reply: seat for seat in self._seats.values() if seat.reply is not None}

    def _take_places(self) -> None:
        """No more than there are tasks; the first of each machine before the second of any."""
        self.alive = machines(self.ray)
        places: list[tuple[int, str, Share]] = []
        for node, has in self.alive.items():
            count = self._workers or max(1, int(has.get("CPU", 0)) // CORES)
            places += [(number, node, one) for number, one in enumerate(shares(has, count))]
        taken = sum(not seat.closed for seat in self._seats.values())
        wanted = max(0, len(self.waiting) + len(self._busy()) - taken)
        free = [one for one in sorted(places) if one[:2] not in self._seats]
        for number, node, share in free[:wanted]:
            self._seats[number, node] = _Seat(self, node, share)

    def _advanced(self) -> Events:
        asked = {seat.frames(): seat for seat in self._busy()}
        if not asked:
            return
        for answer in self.ray.wait(list(asked), num_returns=len(asked), timeout=LOOK)[0]:
            with suppress(self.ray.exceptions.RayError):
                yield from asked[answer].further(self.ray.get(answer))


class _Seat:
    """A process on a machine, and its successors. task: what it works on. reply: to what it was
    asked last; None: it was asked nothing. closed: for good."""

    def __init__(self, run: _Run, node: str, share: Share) -> None:
        self._run, self._node, self._share = run, node, share
        self.task: Input | None = None
        self.reply: Any = None
        self.closed, self._failed, self._frames = False, 0, 0
        self._begin()

    def _begin(self) -> None:
        place = self._node, self._share
        self._process = new_process(self._run.ray, Process, *place, str(Path.cwd()))
        self._waiting: Waiting | None = Waiting(*place)
        self._take: Callable[[Any], list[Done[Input]]] = self._placed
        self.reply = self._process.about.remote()

    def look(self) -> None:
        """Asks for the next task, where it is ready."""
        if self._waiting is not None:
            self._waiting.look()
            if self._node not in self._run.alive:
                self._refuse("the machine left the cluster")
        elif self.reply is None and not self.closed and self._run.waiting:
            self.task, self._frames = self._run.waiting.pop(), 0
            self._take, self.reply = self._ended, self._process.work.remote(self.task)

    def frames(self) -> Any:
        return self._process.frames.options(concurrency_group=CONTROL).remote()

    def further(self, frames: int) -> list[Advanced[Input]]:
        """frames: of its task, up to now."""
        more, self._frames = frames - self._frames, max(frames, self._frames)
        if self.task is None or more <= 0:
            return []
        return [Advanced(self.task, more / FRAMES_PER_SECOND)]

    def answered(self) -> list[Done[Input]]:
        """Called when the reply is there. Raises an error that each further task would meet."""
        errors, reply, self.reply = self._run.ray.exceptions, self.reply, None
        try:
            answer = self._run.ray.get(reply)
        except errors.RayTaskError as error:
            return self._broken(error)
        except errors.RayError as error:
            return self._lost(" ".join(str(error).split())[:200])
        return self._take(answer)

    def _placed(self, about: tuple[str, str]) -> list[Done[Input]]:
        self._waiting = None
        try:
            check_version(about)
        except ConfigError as error:
            self._refuse(str(error))
        else:
            self._take, self.reply = self._begun, self._process.begin.remote(self._run.start)
        return []

    def _begun(self, error: LatentSyncError | None) -> list[Done[Input]]:
        if error is not None:
            self._refuse(str(error))
        self._failed = 0
        return []

    def _ended(self, answer: tuple[str, Any]) -> list[Done[Input]]:
        task, self.task = self.task, None
        assert task is not None
        return [ended(task, *answer)]

    def _broken(self, error: Any) -> list[Done[Input]]:
        """By a bug, whose traceback is logged."""
        logger.error("%s", error)
        line = line_of(error.cause or error)
        task, self.task = self.task, None
        if task is None:
            self._refuse(line)
            return []
        return [Done(task, error=f"the program failed on it: {line}; {AGAIN}")]

    def _lost(self, reason: str) -> list[Done[Input]]:
        logger.warning("a worker is lost: %s", reason)
        task, self.task = self.task, None
        self._failed += task is None
        if self._failed <= RESTARTS and self._node in machines(self._run.ray):
            self._begin()
        else:
            self._refuse(reason)
        if task is None:
            return []
        self._run.losses[task.name] += 1
        if self._run.losses[task.name] < LOSSES:
            self._run.waiting.insert(0, task)  # after all others
            return []
        return [Done(task, error=f"its worker was lost {LOSSES} times: {reason}; {AGAIN}")]

    def _refuse(self, reason: str) -> None:
        if reason not in self._run.refused:
            logger.warning("a machine is left out: %s", reason)
            self._run.refused.append(reason)
        self.close()

    def close(self) -> None:
        self.closed, self.reply, self._waiting = True, None, None
        with suppress(self._run.ray.exceptions.RayError):
            self._run.ray.kill(self._process)
