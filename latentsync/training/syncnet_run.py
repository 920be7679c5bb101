"""From the settings of StableSyncNet's training to a run: clips, network, loop, held-out clips."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from latentsync.errors import LatentSyncError
from latentsync.generate.vae import read_autoencoder
from latentsync.models.recompute import recompute
from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.training.data.datasets import SyncNetDataset
from latentsync.training.diagnosis import StuckWatch, diagnose
from latentsync.training.loop import resume as resuming
from latentsync.training.loop.devices import chosen_precision, on_device, require_device
from latentsync.training.loop.guard import means
from latentsync.training.loop.settings import LoopSettings
from latentsync.training.loop.start import start_strictly
from latentsync.training.loop.state import seed_random
from latentsync.training.loop.trainer import Watch
from latentsync.training.networks import DTYPES
from latentsync.training.run import Run, last_step, loop_of, start_file
from latentsync.training.settings.schema import SyncNetTraining
from latentsync.training.syncnet_step import SyncNetStep
from latentsync.weights.find import find
from latentsync.weights.manifest import VAE

logger = logging.getLogger(__name__)

WEIGHTS = "stable_syncnet.pt"
HINT = "as a loss of the U-Net's training: ckpt.syncnet={}"
VALIDATION_BATCH = 40  # pairs, as upstream


def syncnet_run(
    settings: SyncNetTraining,
    *,
    output: Path | None,
    resume: str = resuming.AUTO,
    dry: bool = False,
) -> Run:
    """As unet_run. Raises ConfigError, CheckpointError and MediaError."""
    folder = output or Path(settings.data.train_output_dir)
    identity = resuming.identity(settings)
    found = resuming.checkpoint_to_resume(folder, resume, identity)
    vae_path = None
    if settings.data.latent_space:
        folders = settings.training.weights_folders
        vae_path = find(VAE, settings.ckpt.vae or None, folders=folders)
    begin = None
    if found is None:
        begin = start_file(settings.ckpt.resume_ckpt_path, "ckpt.resume_ckpt_path")
    require_device(settings.training.device)
    loop = loop_settings(settings)
    cpu = settings.training.device == "cpu" or not torch.cuda.is_available()
    dtype = DTYPES[chosen_precision(loop.precision, cpu=cpu)]
    clips = SyncNetDataset(settings)
    held_out = None if dry else _held_out(settings)
    for line in _said_before(settings, clips, measured=dry):
        logger.warning(line)
    seed_random(settings.run.seed)
    network = StableSyncNet(settings.model)
    recompute(network, settings.run.enable_gradient_checkpointing)
    start = 0
    if found is None:
        started = start_strictly(network, begin)
        start = started.step
        for line in started.said:
            logger.warning(line)
    vae = None if vae_path is None else read_autoencoder(vae_path, torch.device("cpu"), dtype)
    task = SyncNetStep(network, vae)
    return Run(
        task=task,
        clips=clips,
        collate=clips.collate,
        loop=replace(loop, steps=last_step(loop.steps, start)),
        output=folder,
        identity=identity,
        hint=HINT,
        start_step=start,
        resume=found,
        validate=None if held_out is None else HeldOut(task, held_out),
        watches=(_watch_of(StuckWatch()),),
    )


def _said_before(settings: SyncNetTraining, clips: SyncNetDataset, *, measured: bool) -> list[str]:
    """What may keep SyncNet from learning. measured: some clips are looked at, which takes as long
    as they last."""
    if not measured:
        return diagnose(clips.survey, settings, looked_at=0)
    try:
        return diagnose(clips.survey, settings)
    except LatentSyncError as error:
        return [
            f"the clips' sync was not measured: {error}",
            *diagnose(clips.survey, settings, looked_at=0),
        ]


def _watch_of(stuck: StuckWatch) -> Watch:
    return lambda report: stuck(report.step, report.losses["sync"])


def loop_settings(settings: SyncNetTraining) -> LoopSettings:
    return loop_of(settings, validate_every=settings.run.validation_steps, weights=WEIGHTS)


def _held_out(settings: SyncNetTraining) -> SyncNetDataset | None:
    """The clips of data.val_*; None: none are named, which is said."""
    if not (settings.data.val_fileslist or settings.data.val_data_dir):
        logger.warning("no validation: neither data.val_fileslist nor data.val_data_dir is given")
        return None
    return SyncNetDataset(settings, validation=True)


class HeldOut:
    """Loss and accuracy on clips that are not trained on; the same pairs each time."""

    runs_the_model = True

    def __init__(self, task: SyncNetStep, clips: SyncNetDataset) -> None:
        self._task, self._clips = task, clips

    @torch.no_grad()
    def __call__(self, _weights: Path, step: int) -> dict[str, float]:
        """Raises what the dataset raises."""
        self._clips.set_epoch(0)
        self._task.model.eval()
        try:
            found = [self._of(first) for first in range(0, len(self._clips), VALIDATION_BATCH)]
        finally:
            self._task.model.train()
        figures = means(found)
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logger.info("validation of step %d: %s", step, told)
        return figures

    def _of(self, first: int) -> dict[str, float]:
        last = min(first + VALIDATION_BATCH, len(self._clips))
        batch: Any = self._clips.collate([self._clips[index] for index in range(first, last)])
        device = next(self._task.model.parameters()).device
        losses = self._task.losses(self._task.model, on_device(batch, device))
        return {"sync": float(losses.parts["sync"]), **losses.figures}
