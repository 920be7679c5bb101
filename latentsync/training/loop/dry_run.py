"""A few steps that write nothing: what a training would take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from torch import nn

from latentsync.errors import ConfigError
from latentsync.training.loop.checkpoint import free_bytes
from latentsync.training.loop.trainer import Trainer

STEPS = 3
"""The first one is slower: kernels are chosen in it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """of: processes together. memory_bytes: of one GPU, or of one process on a CPU. left: steps.
    disk_bytes: of one checkpoint. free_bytes: on the output's disk."""

    parameters: int
    trained: int
    clips: int
    processes: int
    of_step: int
    device: str
    precision: str
    memory_bytes: int
    seconds_per_step: float
    left: int
    disk_bytes: int
    free_bytes: int
    losses: dict[str, float]

    @property
    def seconds(self) -> float:
        """Of all steps that are left; without validation."""
        return self.left * self.seconds_per_step


def dry_run(trainer: Trainer, clips: int, steps: int = STEPS) -> Cost:
    """Trains so many steps. The trainer is of no further use: its weights have changed."""
    left = trainer.settings.steps - trainer.step
    durations = []
    for _ in trainer.steps(steps):
        durations.append(trainer.last_seconds)
    report = trainer.report()
    total, trained = counted(trainer.task.model)
    precision = trainer.accelerator.mixed_precision
    return Cost(
        parameters=total,
        trained=trained,
        clips=clips,
        processes=trainer.accelerator.num_processes,
        of_step=trainer.of_step,
        device=str(trainer.accelerator.device),
        precision="fp32" if precision == "no" else str(precision),
        memory_bytes=report.memory_bytes,
        seconds_per_step=median(durations[1:] or durations),
        left=left,
        disk_bytes=checkpoint_bytes(
            trainer.task.model,
            averages=bool(trainer.settings.ema),
            trained_only=trainer.settings.trained_only,
        ),
        free_bytes=free_bytes(trainer.output),
        losses=report.losses,
    )


def counted(model: nn.Module) -> tuple[int, int]:
    """-> parameters, and those that train."""
    sizes = [(one.numel(), one.requires_grad) for one in model.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, trains in sizes if trains)


def checkpoint_bytes(model: nn.Module, *, averages: bool, trained_only: bool = False) -> int:
    """float32 weights, Adam's two moments of what trains, and the averaged weights."""
    total, trained = counted(model)
    kept = trained if trained_only else total
    return 4 * (kept * (1 + averages) + 2 * trained)


def check_disk(
    output: Path,
    model: nn.Module,
    *,
    averages: bool,
    keep: int,
    there: int = 0,
    trained_only: bool = False,
) -> None:
    """Raises ConfigError where not even the first checkpoints have room. keep 0: all stay. there:
    checkpoints of this output that are there, and will give way."""
    one = checkpoint_bytes(model, averages=averages, trained_only=trained_only)
    free = free_bytes(output)
    count = max(1, keep + 1 - there) if keep else 2  # a new one is complete before an old one goes
    wanted = one * count
    if free < wanted:
        what = f"its next {count} checkpoints" if count > 1 else "its next checkpoint"
        need = f"{what} {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        remedy = "free some space, name another --output, or keep fewer (training.keep_checkpoints)"
        raise ConfigError(f"too little room at {output}", need, remedy)
