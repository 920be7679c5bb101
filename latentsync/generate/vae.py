"""The autoencoder between pixels and latents: diffusers' network, read from this machine only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from latentsync.errors import CheckpointError
from latentsync.generate.sampling import CHANNELS, Autoencoder
from latentsync.weights.load import build
from latentsync.weights.manifest import VAE

CONFIG_NAME = "config.json"
STAGES = 4  # which shrink a picture to an eighth
STANDARD: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * STAGES,
    "up_block_types": ["UpDecoderBlock2D"] * STAGES,
    "layers_per_block": 2,
    "latent_channels": CHANNELS,
    "norm_num_groups": 32,
}
"""sd-vae-ft-mse, and every other VAE of Stable Diffusion 1."""

OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""The published file still names the parts of an attention as diffusers did before 0.13."""


def load_vae(path: Path, device: torch.device, *, dtype: torch.dtype) -> Autoencoder:
    """The VAE with the weights of the file, on the device, for evaluation only.

    A config.json beside the file says how it is built; without one it is a standard VAE of Stable
    Diffusion 1. What the config says of the latents' scale counts as little as it does upstream:
    sampling.LATENT_SCALE stands. Raises CheckpointError.
    """
    structure = _structure(path.with_name(CONFIG_NAME))
    vae = build(lambda: make_vae(structure), VAE, path, device, dtype=dtype, rename=_current_name)
    return cast(Autoencoder, vae)


def make_vae(structure: Mapping[str, Any] = STANDARD) -> Any:
    """diffusers.AutoencoderKL, with new weights."""
    from diffusers import AutoencoderKL  # takes seconds

    return AutoencoderKL(**structure)


def _structure(config: Path) -> dict[str, Any]:
    if not config.is_file():
        return STANDARD
    try:
        content = json.loads(config.read_text("utf-8"))
        structure = {key: content.get(key, default) for key, default in STANDARD.items()}
        stages = len(structure["block_out_channels"])
    except (OSError, ValueError, AttributeError, TypeError):
        what = "the VAE's config.json cannot be read"
        raise CheckpointError(what, config, "download it again") from None
    if stages != STAGES or structure["latent_channels"] != CHANNELS:
        found = f"{config}: {stages} stages, {structure['latent_channels']} channels of latents"
        remedy = f"LatentSync needs {STAGES} and {CHANNELS}, as in stabilityai/sd-vae-ft-mse"
        raise CheckpointError("a VAE of another kind", found, remedy)
    return structure


def _current_name(key: str) -> str:
    *parents, part, kind = key.split(".")
    if "attentions" in parents and part in OLD_NAMES:
        return ".".join([*parents, OLD_NAMES[part], kind])
    return key
