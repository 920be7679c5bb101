"""One step of the optimizer, on the batches of one or several processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from latentsync.training.batch import Losses, Task
from latentsync.training.loop.devices import Across
from latentsync.training.loop.guard import (
    NotFiniteError,
    describe,
    describe_gradient,
    is_bad,
    means,
)

if TYPE_CHECKING:
    from accelerate import Accelerator

Kept = Callable[[], str]
"""Says which checkpoint is the last good one."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Of this process. losses: total and each part, without weights. skipped: by the scaler, as
    gradients were too large for fp16. stop: what stop() said, the largest of all processes."""

    losses: dict[str, float]
    figures: dict[str, float]
    grad_norm: float
    lr: float
    skipped: bool
    stop: int


class Stepper:
    """model, optimizer: as prepared by the accelerator."""

    def __init__(
        self,
        accelerator: Accelerator,
        task: Task[Any],
        model: nn.Module,
        optimizer: Any,
        schedule: LRScheduler,
        *,
        max_grad_norm: float,
        most_skipped: int,
        across: Across,
    ) -> None:
        self.skipped_in_a_row = 0
        self._accelerator, self._task, self._model = accelerator, task, model
        self._optimizer, self._schedule, self._across = optimizer, schedule, across
        self._max_norm, self._most_skipped = max_grad_norm, most_skipped

    def __call__(
        self, batches: Sequence[Any], *, step: int, stop: Callable[[], int], kept: Kept
    ) -> StepResult:
        """batches: on the device; their gradients are averaged. step: its number, for messages.

        Raises NotFiniteError, on all processes, with the weights as before.
        """
        self._optimizer.zero_grad(set_to_none=True)
        found = [self._backward(batch, batches) for batch in batches]
        bad = torch.stack([is_bad(losses) for losses in found]).any()
        stopping, any_bad = self._across.largest([stop(), bad])
        if any_bad:
            self._raise_for_losses(found, batches, step, kept)
        norm = self._clipped()
        scaled = self._accelerator.scaler is not None
        if not math.isfinite(norm) and not scaled:
            self._raise_for_gradient(norm, batches, step, kept)
        lr = float(self._schedule.get_last_lr()[0])
        self._optimizer.step()
        skipped = bool(scaled and self._optimizer.step_was_skipped)
        self._count_skipped(skipped, norm, batches, step, kept)
        if not skipped:
            self._schedule.step()
        losses, figures = _as_numbers(found)
        return StepResult(losses, figures, norm, lr, skipped, int(stopping))

    def _backward(self, batch: Any, batches: Sequence[Any]) -> Losses:
        """Gradients are exchanged between processes in the last batch of the step."""
        last = batch is batches[-1]
        with nullcontext() if last else self._accelerator.no_sync(self._model):
            with self._accelerator.autocast():
                losses = self._task.losses(self._model, batch)
            self._accelerator.backward(losses.total / len(batches))
        return losses

    def _clipped(self) -> float:
        """Clips the gradients, of what trains -> their norm before."""
        norm = self._accelerator.clip_grad_norm_(self._model.parameters(), self._max_norm)
        whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        return float(whole) if isinstance(whole, Tensor) else math.nan

    def _count_skipped(
        self, skipped: bool, norm: float, batches: Sequence[Any], step: int, kept: Kept
    ) -> None:
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0
        if self.skipped_in_a_row > self._most_skipped:
            self._raise_for_gradient(norm, batches, step, kept)

    def _raise_for_losses(
        self, found: Sequence[Losses], batches: Sequence[Any], step: int, kept: Kept
    ) -> None:
        each = [
            describe(losses, batch.clips)
            for losses, batch in zip(found, batches, strict=True)
            if bool(is_bad(losses))
        ]
        told = [what for one in self._across.all(each) for what in one]
        raise NotFiniteError(step, told[0], kept())

    def _raise_for_gradient(
        self, norm: float, batches: Sequence[Any], step: int, kept: Kept
    ) -> None:
        names = [name for batch in batches for name in batch.clips]
        told = [name for one in self._across.all(names) for name in one]
        raise NotFiniteError(step, describe_gradient(norm, told), kept())


def _as_numbers(found: Sequence[Losses]) -> tuple[dict[str, float], dict[str, float]]:
    losses = [
        {"total": float(one.total.detach()), **{k: float(v) for k, v in one.parts.items()}}
        for one in found
    ]
    return means(losses), means([one.figures for one in found])
