"""A small LatentSync with generated weights, in the layout of the published files.

The U-Net has every kind of layer, but two levels only: that of the published depth is compared
with the original in tests/parity. The speech encoder is Whisper tiny's at its real size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import save_file

from latentsync.generate.vae import STANDARD
from latentsync.models.unet import UNet3DConditionModel
from latentsync.speech.encoder import ENCODERS
from tests.parity.filled import filled
from tests.parity.rule import weight

RESOLUTION = 64
MODEL: dict[str, Any] = {  # loading and converting take time by the number of layers
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock3D", "DownBlock3D"],
    "up_block_types": ["UpBlock3D", "CrossAttnUpBlock3D"],
    "cross_attention_dim": 384,
}
VAE_CONFIG = STANDARD | {
    "block_out_channels": [16, 32, 32, 32],
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
WHISPER_DIMS = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 384, "n_audio_head": 6}


def write_tiny_model(
    folder: Path,
    *,
    resolution: int = RESOLUTION,
    model: Mapping[str, Any] = MODEL,
    vae: Mapping[str, Any] = VAE_CONFIG,
    whisper: Mapping[str, int] = WHISPER_DIMS,
) -> dict[str, dict[str, Any]]:
    """Writes the three models below the folder -> the sections of a configuration that uses them.

    model, vae: arguments of their constructors. whisper: ``dims`` of its file; n_audio_state is
    384 or 768. Two steps and a resolution of 64: a chunk takes half a second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "data": {"resolution": resolution, "num_frames": 16},
        "model": dict(model),
        "generate": {
            "checkpoint": str(write_unet(folder / "latentsync_unet.pt", model)),
            "vae": str(write_vae(folder / "vae", vae)),
            "whisper": str(write_whisper(folder / "whisper" / "tiny.pt", whisper)),
            "steps": 2,
        },
    }


def write_unet(path: Path, model: Mapping[str, Any] = MODEL) -> Path:
    state = filled(UNet3DConditionModel(**model)).state_dict()
    torch.save({"global_step": 5, "state_dict": state}, path)
    return path


def write_vae(folder: Path, config: Mapping[str, Any] = VAE_CONFIG) -> Path:
    """-> the folder, which holds a config.json and the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    # The scale in the file is wrong on purpose: upstream overrides it.
    about = {**config, "_class_name": "AutoencoderKL", "scaling_factor": 1.0}
    (folder / "config.json").write_text(json.dumps(about))
    vae = filled(AutoencoderKL(**config))
    save_file(vae.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    return folder


def write_taesd(folder: Path) -> Path:
    """-> the folder, which holds the weights of TAESD, at its real size."""
    folder.mkdir(parents=True, exist_ok=True)
    state = filled(AutoencoderTiny()).state_dict()
    save_file(state, folder / "taesd.safetensors", metadata={"format": "pt"})
    return folder


def write_whisper(path: Path, dims: Mapping[str, int] = WHISPER_DIMS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        key: value if key.endswith("positional_embedding") else weight(key, tuple(value.shape))
        for key, value in ENCODERS[dims["n_audio_state"]]().state_dict().items()
    }
    state["decoder.ln.weight"] = weight("decoder.ln.weight", (8,))  # present, not used
    torch.save({"dims": dict(dims), "model_state_dict": state}, path)
    return path
