"""From the settings of a U-Net's training to a run: weights, clips, networks, loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from latentsync.errors import ConfigError
from latentsync.face.masks import upstream_mask
from latentsync.generate.model_spec import FaceModel, unet_file
from latentsync.models.recompute import recompute
from latentsync.models.unet import UNet3DConditionModel
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.training.data.datasets import UNetDataset
from latentsync.training.loop import resume as resuming
from latentsync.training.loop.devices import chosen_precision, process_count, require_device
from latentsync.training.loop.figures import Validate
from latentsync.training.loop.settings import LoopSettings
from latentsync.training.loop.start import start_strictly, start_unet
from latentsync.training.loop.state import seed_random
from latentsync.training.loop.trainer import Pack, as_latentsync
from latentsync.training.loop.validation import Validation, cannot_validate
from latentsync.training.networks import FrozenFiles, frozen_files, load_frozen
from latentsync.training.person import FILE as LORA_FILE
from latentsync.training.person import LoraSettings, adapt, lora_settings
from latentsync.training.preview import Preview
from latentsync.training.run import Run, last_step, loop_of, start_file
from latentsync.training.settings.schema import PIXELS, WHISPER, UNetTraining
from latentsync.training.trainable import ALL, choose
from latentsync.training.unet_step import LossWeights, UNetStep

logger = logging.getLogger(__name__)

WEIGHTS = "latentsync_unet.pt"
HINT, LORA_HINT = "--inference_ckpt_path {}", "generate.lora={}"


def unet_run(
    settings: UNetTraining,
    *,
    output: Path | None,
    resume: str = resuming.AUTO,
    dry: bool = False,
    stop: Callable[[], int] = lambda: 0,
) -> Run:
    """output: None: data.train_output_dir. resume: see checkpoint_to_resume. dry: nothing
    is validated.

    Checks what is quick to check first. Raises ConfigError, CheckpointError and MediaError.
    """
    folder = output or Path(settings.data.train_output_dir)
    identity = resuming.identity(settings)
    found = resuming.checkpoint_to_resume(folder, resume, identity)
    lora = lora_settings(settings.lora)
    files = frozen_files(settings)
    begin = None
    if found is None or lora is not None:  # a LoRA has only its own part of the weights
        begin = start_file(settings.ckpt.resume_ckpt_path, "ckpt.resume_ckpt_path")
    require_device(settings.training.device)
    loop = loop_settings(settings)
    precision = chosen_precision(loop.precision, cpu=on_cpu(settings))
    clips = UNetDataset(settings)
    if lora is not None:
        lora.check_footage(clips.survey.seconds)
    seed_random(settings.run.seed)
    unet = UNet3DConditionModel(**settings.model)
    recompute(unet, settings.run.enable_gradient_checkpointing)
    start, pack = 0, cast(Pack, as_latentsync)
    if lora is not None:
        pack = _adapted(settings, unet, lora, begin)
    else:
        choose(unet, settings.run.trainable_modules or ALL)
    if lora is None and found is None:
        started = start_unet(unet, begin)
        start = started.step
        for line in started.said:
            logger.warning(line)
    per_step = loop.samples_of_step(process_count())
    loop = replace(loop, steps=_last_step(settings, len(clips), per_step, start))
    task, vae = _task(settings, unet, files, precision)
    return Run(
        task=task,
        clips=clips,
        collate=clips.collate,
        loop=loop,
        output=folder,
        identity=identity,
        hint=HINT if lora is None else LORA_HINT,
        start_step=start,
        resume=found,
        validate=None if dry else _validation(settings, unet, vae, clips, folder, stop),
        pack=pack,
    )


def _adapted(
    settings: UNetTraining, unet: UNet3DConditionModel, lora: LoraSettings, base: Path | None
) -> Pack:
    """Loads the weights that the LoRA is of, and adds it.

    Raises ConfigError and CheckpointError.
    """
    if base is None:
        remedy = "name the weights that it is trained on, as it is of no use with others"
        raise ConfigError("ckpt.resume_ckpt_path", "not given, and lora.rank is", remedy)
    start_strictly(unet, base)  # its steps count from 0: it begins here
    data = settings.data
    model = unet_file(FaceModel(data.resolution, data.num_frames, settings.audio_width))
    return adapt(unet, lora, seed=settings.run.seed).packer(base, model)


def on_cpu(settings: UNetTraining) -> bool:
    return settings.training.device == "cpu" or not torch.cuda.is_available()


def loop_settings(settings: UNetTraining) -> LoopSettings:
    own = settings.optimizer
    return loop_of(
        settings,
        scale_lr=own.scale_lr,
        schedule=own.lr_scheduler,
        warmup_steps=own.lr_warmup_steps,
        validate_every=settings.training.validate_steps or settings.ckpt.save_ckpt_steps,
        weights=LORA_FILE if settings.lora.rank else WEIGHTS,
        trained_only=bool(settings.lora.rank),
    )


def _last_step(settings: UNetTraining, clips: int, of_step: int, start: int) -> int:
    """max_train_epochs counts where there are no steps, from the start weights on. Raises
    ConfigError."""
    run = settings.run
    if run.max_train_steps != -1:
        return last_step(run.max_train_steps, start)
    return start + max(1, run.max_train_epochs * clips // of_step)


def _task(
    settings: UNetTraining, unet: UNet3DConditionModel, files: FrozenFiles, precision: str
) -> tuple[UNetStep, Any]:
    """-> the task, and its VAE."""
    run = settings.run
    frozen = load_frozen(settings, files, precision)
    step = UNetStep(
        unet,
        frozen.vae,
        keep_mask(settings),
        weights=LossWeights(
            recon=run.recon_loss_weight,
            sync=run.sync_loss_weight,
            perceptual=run.perceptual_loss_weight,
            trepa=run.trepa_loss_weight,
        ),
        noise_alpha=run.mixed_noise_alpha if run.use_mixed_noise else None,
        lpips=frozen.lpips,
        trepa=frozen.trepa,
        syncnet=frozen.syncnet,
        sync_side=frozen.sync_side,
    )
    return step, frozen.vae


def keep_mask(settings: UNetTraining) -> Tensor:
    """(R, R) float32, 1 where the face is kept."""
    return torch.from_numpy(1 - upstream_mask(settings.data.resolution))


def _validation(
    settings: UNetTraining,
    unet: UNet3DConditionModel,
    vae: Any,
    clips: UNetDataset,
    output: Path,
    stop: Callable[[], int],
) -> Validate | None:
    """None: it is not possible, which is said. Previews of a clip where there is no inference for
    such a U-Net."""
    if settings.ckpt.vae == PIXELS:
        steps = settings.run.inference_steps
        return Preview(unet, vae, keep_mask(settings), clips, output, steps=steps)
    if settings.data.speech_features != WHISPER:
        logger.warning("no validation during the training: the inference needs Whisper's features")
        return None
    config = inference_config(settings)
    why = cannot_validate(config)
    if why is not None:
        logger.warning("no validation during the training: %s", why)
        return None
    key = "lora" if settings.lora.rank else "checkpoint"
    return Validation(config, output, key=key, stop=stop)


def inference_config(settings: UNetTraining) -> Config:
    """By which the inference generates with the trained weights."""
    data, run, ckpt = settings.data, settings.run, settings.ckpt
    config = load_config(
        None,
        flags={
            "input.video": data.val_video_path or None,
            "input.audio": data.val_audio_path or None,
            "generate.name": "latentsync",
            "generate.steps": run.inference_steps,
            "generate.guidance": run.guidance_scale,
            "generate.checkpoint": ckpt.resume_ckpt_path if settings.lora.rank else None,
            "generate.vae": None if ckpt.vae == PIXELS else ckpt.vae or None,
            "generate.whisper": ckpt.whisper or None,
            "restore.name": "none",
            "runtime.device": settings.training.device,
            "runtime.backend": "torch",
            "weights.folders": list(settings.training.weights_folders),
        },
    )
    shape = {"resolution": data.resolution, "num_frames": data.num_frames}
    return replace(config, data=shape, model=dict(settings.model))
