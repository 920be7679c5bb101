"""The optimizer, and its learning rate over the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

if TYPE_CHECKING:
    from latentsync.training.loop.settings import LoopSettings


def make_optimizer(
    parameters: Iterable[Parameter], settings: LoopSettings, *, processes: int = 1
) -> torch.optim.AdamW:
    """AdamW over what trains."""
    return torch.optim.AdamW(
        [one for one in parameters if one.requires_grad],
        lr=settings.learning_rate * (processes if settings.scale_lr else 1),
        weight_decay=settings.weight_decay,
    )


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: LoopSettings, *, steps: int
) -> LambdaLR:
    """steps: of the whole run, after which linear and cosine end at 0. With warmup_steps every
    schedule begins with a rise from 0, constant too."""

    def share(step: int) -> float:
        """Of the learning rate, in the step of that number from 0 on."""
        if step < settings.warmup_steps:
            return step / settings.warmup_steps
        done = (step - settings.warmup_steps) / max(steps - settings.warmup_steps, 1)
        if settings.schedule == "linear":
            return max(0.0, 1 - done)
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return 1.0

    return LambdaLR(optimizer, share)
