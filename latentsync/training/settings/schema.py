"""The settings of training: LatentSync's own YAML files key for key, and ours beside them.

Names and values of `data`, `ckpt`, `run`, `optimizer` and `model` are upstream's; what is marked as
ours is left out there. configs/training/stage2.yaml and syncnet.yaml explain every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIXELS = "pixels"
"""Value of ckpt.vae that is no path: no VAE, see training.tiny."""
AUDIO_WIDTH = 384
"""Channels of an audio token of Whisper tiny, which a file without cross_attention_dim means."""
WHISPER, MEL = "whisper", "mel"
"""Values of data.speech_features."""


@dataclass(frozen=True, slots=True)
class UNetData:
    syncnet_config_path: str = "configs/syncnet/syncnet_16_pixel_attn.yaml"
    train_output_dir: str = "outputs/unet"
    train_fileslist: str = ""
    train_data_dir: str = ""
    audio_embeds_cache_dir: str = ""
    audio_mel_cache_dir: str = ""
    val_video_path: str = ""
    val_audio_path: str = ""
    batch_size: int = 1
    num_workers: int = 4
    num_frames: int = 16
    resolution: int = 512
    mask_image_path: str = "latentsync/utils/mask.png"
    audio_sample_rate: int = 16000
    video_fps: int = 25
    audio_feat_length: tuple[int, ...] = (2, 2)
    # Ours.
    speech_features: str = WHISPER
    min_reference_distance: int = 0
    samples_per_clip: int = 1
    align: bool = False


@dataclass(frozen=True, slots=True)
class UNetCheckpoints:
    resume_ckpt_path: str = ""
    save_ckpt_steps: int = 10_000
    # Ours.
    vae: str = ""
    whisper: str = ""
    syncnet: str = ""
    vgg16: str = ""
    videomae: str = ""


@dataclass(frozen=True, slots=True)
class UNetRun:
    pixel_space_supervise: bool = True
    use_syncnet: bool = True
    sync_loss_weight: float = 0.05
    perceptual_loss_weight: float = 0.1
    recon_loss_weight: float = 1.0
    trepa_loss_weight: float = 10.0
    guidance_scale: float = 1.5
    inference_steps: int = 20
    trainable_modules: tuple[str, ...] = ()
    seed: int = 1247
    use_mixed_noise: bool = True
    mixed_noise_alpha: float = 1.0
    mixed_precision_training: bool = True
    enable_gradient_checkpointing: bool = True
    max_train_steps: int = 10_000_000
    max_train_epochs: int = -1


@dataclass(frozen=True, slots=True)
class UNetOptimizer:
    lr: float = 1e-5
    scale_lr: bool = False
    max_grad_norm: float = 1.0
    lr_scheduler: str = "constant"
    lr_warmup_steps: int = 0


@dataclass(frozen=True, slots=True)
class Lora:
    """rank 0: the weights themselves are trained. alpha 0: as large as the rank. The others: see
    training.person.LoraSettings."""

    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ()
    name: str = ""
    licence: str = ""
    source: str = ""
    least_minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Extras:
    """Section `training`: what upstream has no keys for. keep_checkpoints: 0: all."""

    device: str = "auto"
    precision: str = "auto"
    gradient_accumulation: int = 1
    ema: float = 0.0
    keep_checkpoints: int = 0
    log_every: int = 10
    validate_steps: int = 0
    max_nan_steps: int = 20
    max_bad_share: float = 0.05
    cache_dir: str = ""
    weights_folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncNetData:
    train_output_dir: str = "outputs/syncnet"
    num_val_samples: int = 2048
    batch_size: int = 256
    gradient_accumulation_steps: int = 1
    num_workers: int = 4
    latent_space: bool = False
    num_frames: int = 16
    resolution: int = 256
    train_fileslist: str = ""
    train_data_dir: str = ""
    val_fileslist: str = ""
    val_data_dir: str = ""
    audio_mel_cache_dir: str = ""
    lower_half: bool = True
    audio_sample_rate: int = 16000
    video_fps: int = 25
    # Ours.
    min_wrong_distance: int = 1
    samples_per_clip: int = 1
    align: bool = False


@dataclass(frozen=True, slots=True)
class SyncNetCheckpoints:
    resume_ckpt_path: str = ""
    inference_ckpt_path: str = ""
    save_ckpt_steps: int = 2500
    # Ours.
    vae: str = ""


@dataclass(frozen=True, slots=True)
class SyncNetRun:
    max_train_steps: int = 10_000_000
    validation_steps: int = 2500
    mixed_precision_training: bool = True
    seed: int = 42
    # Ours.
    enable_gradient_checkpointing: bool = False


@dataclass(frozen=True, slots=True)
class SyncNetOptimizer:
    lr: float = 1e-5
    max_grad_norm: float = 1.0


def _precision(extras: Extras, run: UNetRun | SyncNetRun) -> str:
    """auto, fp32, bf16 or fp16; auto: bf16 or fp16, whichever the device has."""
    return extras.precision if run.mixed_precision_training else "fp32"


@dataclass(frozen=True, slots=True, eq=False)
class UNetTraining:
    """model: the `model` section as it is, for UNet3DConditionModel. path: the YAML file."""

    data: UNetData = field(default_factory=UNetData)
    ckpt: UNetCheckpoints = field(default_factory=UNetCheckpoints)
    run: UNetRun = field(default_factory=UNetRun)
    optimizer: UNetOptimizer = field(default_factory=UNetOptimizer)
    model: Mapping[str, Any] = field(default_factory=dict)
    lora: Lora = field(default_factory=Lora)
    training: Extras = field(default_factory=Extras)
    path: Path | None = None

    @property
    def precision(self) -> str:
        return _precision(self.training, self.run)

    @property
    def gradient_accumulation(self) -> int:
        return self.training.gradient_accumulation

    @property
    def audio_width(self) -> int:
        """Channels of an audio token."""
        return int(self.model.get("cross_attention_dim", AUDIO_WIDTH))

    @property
    def needs_mel(self) -> bool:
        return self.run.use_syncnet and self.run.pixel_space_supervise


@dataclass(frozen=True, slots=True, eq=False)
class SyncNetTraining:
    """model: the `model` section as it is, for StableSyncNet; without one the published network's,
    sync_options.RELEASED. path: the YAML file."""

    data: SyncNetData = field(default_factory=SyncNetData)
    ckpt: SyncNetCheckpoints = field(default_factory=SyncNetCheckpoints)
    run: SyncNetRun = field(default_factory=SyncNetRun)
    optimizer: SyncNetOptimizer = field(default_factory=SyncNetOptimizer)
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Extras = field(default_factory=Extras)
    path: Path | None = None

    @property
    def precision(self) -> str:
        return _precision(self.training, self.run)

    @property
    def gradient_accumulation(self) -> int:
        return self.data.gradient_accumulation_steps
