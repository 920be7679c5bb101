"""What is told of the steps: means over several, speed, memory, time left."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch

from latentsync.training.loop.guard import means
from latentsync.training.loop.step import StepResult

RECENT = 50  # steps that the speed is taken from


@dataclass(frozen=True, slots=True)
class Report:
    """Means since the last report, of all processes. memory_bytes: the largest use so far: of one
    GPU, or of one process on a CPU. skipped: steps. seconds_left: to the last step."""

    step: int
    losses: dict[str, float]
    figures: dict[str, float]
    lr: float
    grad_norm: float
    samples: int
    samples_per_second: float
    seconds_per_step: float
    seconds_left: float
    memory_bytes: int
    skipped: int

    def as_line(self) -> dict[str, Any]:
        """Plain values by name, for a line of JSON."""
        left_out = {"losses", "figures"}
        rest = {k: getattr(self, k) for k in self.__slots__ if k not in left_out}
        named = {f"loss/{k}": v for k, v in self.losses.items()}
        return {"step": self.step, **named, **self.figures, **rest}


@dataclass(slots=True)
class Meter:
    """of_step: samples of all processes in one step."""

    of_step: int
    _results: list[StepResult] = field(default_factory=list)
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT + 1))
    _most_memory: int = 0

    def start(self) -> None:
        """Called where time begins, or goes on after something that is no step."""
        self._ends.clear()
        self._ends.append(time.monotonic())

    def add(self, result: StepResult) -> None:
        self._results.append(result)
        self._ends.append(time.monotonic())

    @property
    def seconds_per_step(self) -> float:
        ends = self._ends
        return (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else 0.0

    @property
    def last_seconds(self) -> float:
        return self._ends[-1] - self._ends[-2] if len(self._ends) > 1 else 0.0

    def memory_bytes(self, device: torch.device) -> int:
        if device.type == "cuda":
            return torch.cuda.max_memory_reserved(device)
        self._most_memory = max(self._most_memory, psutil.Process().memory_info().rss)
        return self._most_memory

    def taken(self) -> dict[str, dict[str, float]]:
        """The means of this process, which start anew."""
        results, self._results = self._results, []
        applied = [one for one in results if not one.skipped] or results
        return {
            "losses": means([one.losses for one in results]),
            "figures": means([one.figures for one in results]),
            "rest": {
                "grad_norm": sum(one.grad_norm for one in applied) / len(applied),
                "lr": results[-1].lr,
                "skipped": float(sum(one.skipped for one in results)),
            },
        }

    def report(
        self,
        parts: list[dict[str, dict[str, float]]],
        *,
        step: int,
        last: int,
        memory_bytes: int,
        samples: int,
    ) -> Report:
        """parts: what taken() gave, of each process."""
        seconds, rest = self.seconds_per_step, parts[0]["rest"]
        return Report(
            step=step,
            losses=means([one["losses"] for one in parts]),
            figures=means([one["figures"] for one in parts]),
            lr=rest["lr"],
            grad_norm=rest["grad_norm"],
            samples=samples,
            samples_per_second=self.of_step / seconds if seconds else 0.0,
            seconds_per_step=seconds,
            seconds_left=seconds * (last - step),
            memory_bytes=memory_bytes,
            skipped=int(rest["skipped"]),
        )
