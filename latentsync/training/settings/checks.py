"""Which values and combinations of the settings of training are allowed."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from latentsync.errors import ConfigError
from latentsync.generate.model_spec import LATENT_STEP, WHISPER
from latentsync.models.stable_syncnet import FRAMES
from latentsync.models.sync_options import encoder_options
from latentsync.speech.sync_mel import N_MELS
from latentsync.training.settings.schema import (
    AUDIO_WIDTH,
    MEL,
    PIXELS,
    SyncNetTraining,
    UNetTraining,
)
from latentsync.training.settings.schema import WHISPER as SPEECH_OF_WHISPER

ANY = math.inf
RANGES: dict[str, tuple[float, float]] = {
    "data.batch_size": (1, 4096),
    "data.num_workers": (0, 256),
    "data.num_frames": (1, 24),
    "data.resolution": (32, 1024),
    "data.min_reference_distance": (0, 10_000),
    "data.min_wrong_distance": (1, 10_000),
    "data.samples_per_clip": (1, 100_000),
    "data.num_val_samples": (1, ANY),
    "data.gradient_accumulation_steps": (1, 10_000),
    "ckpt.save_ckpt_steps": (1, ANY),
    "run.sync_loss_weight": (0, ANY),
    "run.perceptual_loss_weight": (0, ANY),
    "run.recon_loss_weight": (0, ANY),
    "run.trepa_loss_weight": (0, ANY),
    "run.guidance_scale": (1, 20),
    "run.inference_steps": (1, 1000),
    "run.seed": (0, 2**63 - 1),
    "run.mixed_noise_alpha": (0, ANY),
    "run.validation_steps": (1, ANY),
    "optimizer.lr": (0, 1),
    "optimizer.max_grad_norm": (0, ANY),
    "optimizer.lr_warmup_steps": (0, ANY),
    "lora.rank": (0, 4096),
    "lora.alpha": (0, ANY),
    "lora.least_minutes": (0, ANY),
    "training.gradient_accumulation": (1, 10_000),
    "training.ema": (0, 0.999999),
    "training.keep_checkpoints": (0, ANY),
    "training.log_every": (1, ANY),
    "training.validate_steps": (0, ANY),
    "training.max_nan_steps": (0, ANY),
    "training.max_bad_share": (0, 1),
}
POSITIVE = ("optimizer.lr", "optimizer.max_grad_norm")
CHOICES: dict[str, tuple[str, ...]] = {
    "data.speech_features": (SPEECH_OF_WHISPER, MEL),
    "optimizer.lr_scheduler": ("constant", "constant_with_warmup", "linear", "cosine"),
    "training.device": ("auto", "cpu", "cuda"),
    "training.precision": ("auto", "fp32", "bf16", "fp16"),
}
FIXED: dict[str, tuple[Any, str]] = {
    "data.audio_sample_rate": (16000, "all speech models here take 16000"),
    "data.video_fps": (25, "LatentSync takes 25; scripts.prepare_data converts videos"),
    "data.audio_feat_length": ((2, 2), "only [2, 2] is supported, as in every published file"),
}
LOW_PRECISION = ("bf16", "fp16")
BUILT_IN_MASK = "mask.png"
NO_EFFECT: dict[str, dict[str, str]] = {
    "unet": {"data.mask_image_path": "LatentSync's mask is built in"},
    "syncnet": {},
}
"""Keys of upstream -> why they do nothing here. All others have their effect."""


def check_unet(settings: UNetTraining) -> None:
    """Raises ConfigError."""
    _check_values(settings)
    data, run, ckpt = settings.data, settings.run, settings.ckpt
    _check_steps(run.max_train_steps, run.max_train_epochs)
    _check_output(settings)
    if PurePath(data.mask_image_path).name != BUILT_IN_MASK:
        remedy = f"only LatentSync's {BUILT_IN_MASK} is supported, which is built in"
        raise ConfigError("data.mask_image_path", data.mask_image_path, remedy)
    if ckpt.vae != PIXELS and data.resolution % LATENT_STEP:
        raise ConfigError("data.resolution", data.resolution, f"use a multiple of {LATENT_STEP}")
    if data.resolution % 2:
        raise ConfigError("data.resolution", data.resolution, "use an even number")
    width = settings.model.get("cross_attention_dim", AUDIO_WIDTH)
    if not isinstance(width, int):
        raise ConfigError("model.cross_attention_dim", width, "use a whole number")
    if settings.needs_mel and data.num_frames != FRAMES:
        remedy = f"SyncNet takes {FRAMES}; set run.use_syncnet=false for another number"
        raise ConfigError("data.num_frames", data.num_frames, remedy)
    if data.speech_features == SPEECH_OF_WHISPER and settings.audio_width not in WHISPER:
        known = " or ".join(map(str, WHISPER))
        remedy = f"use {known}, as Whisper has"
        raise ConfigError("model.cross_attention_dim", settings.audio_width, remedy)
    if data.speech_features == MEL and settings.audio_width != N_MELS:
        remedy = f"use {N_MELS} with data.speech_features={MEL}"
        raise ConfigError("model.cross_attention_dim", settings.audio_width, remedy)
    weights = ("recon", "sync", "perceptual", "trepa")
    used = weights if run.pixel_space_supervise else weights[:1]
    if not any(getattr(run, f"{name}_loss_weight") for name in used):
        keys = ", ".join(f"run.{name}_loss_weight" for name in used)
        raise ConfigError(keys, 0, "nothing would be trained; give one of them a weight")
    if settings.lora.rank and run.trainable_modules:
        remedy = "leave it out: with lora.rank only the added matrices are trained"
        raise ConfigError("run.trainable_modules", ", ".join(run.trainable_modules), remedy)


def check_syncnet(settings: SyncNetTraining) -> None:
    """Raises ConfigError."""
    _check_values(settings)
    _check_steps(settings.run.max_train_steps)
    _check_output(settings)
    data = settings.data
    if data.num_frames != FRAMES:
        raise ConfigError("data.num_frames", data.num_frames, f"StableSyncNet takes {FRAMES}")
    if data.latent_space and data.lower_half:
        raise ConfigError("data.lower_half", True, "set it to false: latents are of whole faces")
    elsewhere = {
        "training.validate_steps": (settings.training.validate_steps, 0, "run.validation_steps"),
        "training.gradient_accumulation": (
            *(settings.training.gradient_accumulation, 1),
            "data.gradient_accumulation_steps",
        ),
    }
    for key, (value, default, instead) in elsewhere.items():
        if value != default:
            raise ConfigError(key, value, f"it is {instead} in the training of SyncNet")
    visual = encoder_options(settings.model, "visual_encoder")
    encoder_options(settings.model, "audio_encoder")
    channels = FRAMES * (4 if data.latent_space else 3)
    if visual.in_channels != channels:
        kind = "latents" if data.latent_space else "RGB"
        remedy = f"{channels} are needed for {FRAMES} frames of {kind} (data.latent_space)"
        raise ConfigError("model.visual_encoder.in_channels", visual.in_channels, remedy)
    if not data.latent_space and not data.lower_half:
        remedy = "leave it true: SyncNet sees the lower halves of faces"
        raise ConfigError("data.lower_half", False, remedy)


def without_effect(tree: Mapping[str, Any], network: str) -> list[str]:
    """Sentences on the keys of the file that do nothing here. network: unet or syncnet."""
    found = []
    for key, why in NO_EFFECT[network].items():
        section, name = key.split(".")
        if name in (tree.get(section) or {}):
            found.append(f"{key} ({why})")
    return found


def _check_values(settings: UNetTraining | SyncNetTraining) -> None:
    for key, (low, high) in RANGES.items():
        value = _lookup(settings, key)
        if value is not None and not low <= value <= high:  # not a number fails too
            span = f"{low:g} to {high:g}" if high < ANY else f"{low:g} or more"
            raise ConfigError(key, value, f"use {span}")
    for key in POSITIVE:
        if not _lookup(settings, key):
            raise ConfigError(key, _lookup(settings, key), "use a number above 0")
    for key, choices in CHOICES.items():
        value = _lookup(settings, key)
        if value is not None and value not in choices:
            raise ConfigError(key, value, f"use one of {', '.join(choices)}")
    for key, (only, why) in FIXED.items():
        value = _lookup(settings, key)
        if value is not None and value != only:
            raise ConfigError(key, value, why)
    if not settings.run.mixed_precision_training and settings.training.precision in LOW_PRECISION:
        remedy = "set run.mixed_precision_training=true, or leave it out"
        raise ConfigError("training.precision", settings.training.precision, remedy)


def _check_steps(steps: int, epochs: int = -1) -> None:
    if steps == -1 and epochs < 1:
        remedy = "give a number of steps, or set run.max_train_epochs"
        raise ConfigError("run.max_train_steps", steps, remedy)
    if steps != -1 and steps < 1:
        raise ConfigError("run.max_train_steps", steps, "use 1 or more")
    if epochs != -1 and epochs < 1:
        raise ConfigError("run.max_train_epochs", epochs, "use 1 or more, or -1")


def _check_output(settings: UNetTraining | SyncNetTraining) -> None:
    if not settings.data.train_output_dir:
        remedy = "name a folder for the results"
        raise ConfigError("data.train_output_dir", "empty", remedy)


def _lookup(settings: object, key: str) -> Any:
    """None: this network has no such setting."""
    try:
        return operator.attrgetter(key)(settings)
    except AttributeError:
        return None
