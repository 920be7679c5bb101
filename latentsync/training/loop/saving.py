"""What of a trainer a checkpoint holds, and how it comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latentsync.training.loop import state as states
from latentsync.training.loop.checkpoint import STATE, Checkpoint, averaged
from latentsync.weights.load import require_fit

if TYPE_CHECKING:
    from latentsync.training.loop.trainer import Trainer

Pack = Callable[[Mapping[str, Tensor], int], Any]
"""Weights, step -> the content of their file, see write_checkpoint."""


def as_latentsync(weights: Mapping[str, Tensor], step: int) -> dict[str, Any]:
    """As LatentSync's own files have them."""
    return {"global_step": step, "state_dict": weights}


def load_weights(trainer: Trainer, resume: Checkpoint) -> None:
    """Into the network, before it is wrapped. Raises CheckpointError: they are of another one."""
    model, settings = trainer.task.model, trainer.settings
    state, own = resume.read(settings.weights)["state_dict"], model.state_dict()
    expected = states.trained_of(model, own) if settings.trained_only else own
    require_fit(expected, state, resume.path / settings.weights)
    states.load_weights(model, state, trained_only=settings.trained_only)


def files_of(trainer: Trainer) -> dict[str, Any]:
    """Name -> content of a checkpoint; whole on the first process. All processes call it."""
    weights = states.weights_of(trainer.model)
    if trainer.settings.trained_only:
        weights = states.trained_of(trainer.plain_model, weights)
    rest = {
        "optimizer": states.optimizer_state(trainer.model, trainer.plain_optimizer),
        "schedule": trainer.schedule.state_dict(),
        "scaler": states.scaler_state(trainer.accelerator),
        "skipped_in_a_row": trainer.stepper.skipped_in_a_row,
        "random": trainer.across.all(states.random_state()),
    }
    name = trainer.settings.weights
    files = {name: trainer.pack(weights, trainer.step)}
    if trainer.averages is not None:
        kept = trainer.averages.within(weights)
        files[averaged(name)] = trainer.pack(kept, trainer.step)
    return {**files, STATE: rest}


def restore(trainer: Trainer, one: Checkpoint) -> None:
    """All but the weights: as if the training had not stopped."""
    found = one.read(STATE)
    trainer.step, trainer.samples = one.step, int(one.about["samples"])
    states.restore_optimizer(trainer.model, trainer.plain_optimizer, found["optimizer"])
    trainer.schedule.load_state_dict(found["schedule"])
    states.restore_scaler(trainer.accelerator, found["scaler"])
    trainer.stepper.skipped_in_a_row = int(found["skipped_in_a_row"])
    if trainer.averages is not None:
        name = averaged(trainer.settings.weights)
        there = name in one.about["files"]
        kept = one.read(name if there else trainer.settings.weights)
        trainer.averages.load(kept["state_dict"])
    rank = trainer.accelerator.process_index
    if rank < len(found["random"]):
        states.restore_random(found["random"][rank])
