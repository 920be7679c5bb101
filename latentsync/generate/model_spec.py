"""LatentSync's own `data` and `model` sections, checked, and the weights that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from latentsync.errors import ConfigError
from latentsync.weights.find import find_all
from latentsync.weights.manifest import (
    LATENTSYNC_UNET,
    LATENTSYNC_UNET_15,
    TAESD,
    VAE,
    WHISPER_SMALL,
    WHISPER_TINY,
)
from latentsync.weights.model_file import ModelFile

if TYPE_CHECKING:
    from latentsync.settings.schema import Config

WHISPER = {384: WHISPER_TINY, 768: WHISPER_SMALL}
"""A U-Net's cross_attention_dim -> the file of its speech encoder."""
TOKENS = {384: 50, 768: 130}
"""... -> audio tokens of a frame: 10 instants of all the encoder's hidden states, 5 or 13."""
LATENT_STEP = 8  # pixels to a latent
RESOLUTION_15 = 256  # of version 1.5; 1.6: 512

SMALL_VAE = "taesd"
"""Value of generate.vae that is no path; also settings.schema.TAESD."""

CHANNELS = {"in_channels": 13, "out_channels": 4}
"""In: noisy latents 4, mask 1, masked latents 4, reference latents 4. Out: the noise."""


@dataclass(frozen=True, slots=True)
class FaceModel:
    """resolution: R, side of the face [pixels]. frames: of a whole chunk. audio: width of an
    audio token."""

    resolution: int
    frames: int
    audio: int


class ModelPaths(NamedTuple):
    """Paths of LatentSync's weights."""

    unet: Path
    vae: Path


def face_model(config: Config) -> FaceModel:
    """Shapes of a chunk by the configuration; the defaults are those of version 1.6.

    Raises ConfigError for values that are not possible.
    """
    motion = config.model.get("motion_module_kwargs") or {}
    longest = int(motion.get("temporal_position_encoding_max_len", 24))
    resolution = _whole("data", config.data, "resolution", 512)
    frames = _whole("data", config.data, "num_frames", 16)
    audio = _whole("model", config.model, "cross_attention_dim", 384)
    if resolution % LATENT_STEP:
        raise ConfigError("data.resolution", resolution, f"use a multiple of {LATENT_STEP}")
    if frames > longest:
        raise ConfigError("data.num_frames", frames, f"this U-Net takes at most {longest}")
    if config.generate.overlap > frames // 2:
        remedy = f"use at most {frames // 2}, half of data.num_frames"
        raise ConfigError("generate.overlap", config.generate.overlap, remedy)
    if audio not in WHISPER:
        known = " or ".join(map(str, WHISPER))
        raise ConfigError("model.cross_attention_dim", audio, f"use {known}, as Whisper has")
    for key, value in CHANNELS.items():
        if config.model.get(key, value) != value:
            raise ConfigError(f"model.{key}", config.model[key], f"use {value}, as LatentSync has")
    return FaceModel(resolution, frames, audio)


def _whole(section: str, values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{section}.{key}", value, "use a whole number above 0")
    return value


def unet_file(model: FaceModel) -> ModelFile:
    """The published weights that were trained at the resolution."""
    return LATENTSYNC_UNET_15 if model.resolution == RESOLUTION_15 else LATENTSYNC_UNET


def vae_wanted(config: Config) -> tuple[ModelFile, str | None]:
    """The VAE's file, with the path in the configuration."""
    named = config.generate.vae
    return (TAESD, None) if named == SMALL_VAE else (VAE, named)


def weights_wanted(config: Config) -> list[tuple[ModelFile, str | None]]:
    """LatentSync's files (speech encoder, U-Net, VAE), each with the path in the configuration.

    Raises ConfigError.
    """
    model, generate = face_model(config), config.generate
    files = [(unet_file(model), generate.checkpoint), vae_wanted(config)]
    return [(WHISPER[model.audio], generate.whisper), *files]


def model_paths(config: Config) -> ModelPaths:
    """Paths of U-Net and VAE.

    Raises ConfigError, and one CheckpointError naming every missing file.
    """
    model, generate = face_model(config), config.generate
    wanted = [(unet_file(model), generate.checkpoint), vae_wanted(config)]
    return ModelPaths(*find_all(wanted, folders=config.weights.folders))
