"""A small MuseTalk with generated weights, in the layout of the published files.

The U-Net has every kind of layer, but two levels only: the published depth is compared with the
original in tests/parity. Whisper tiny has its real size, and so have the faces.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from latentsync.generate.musetalk.network import STRUCTURE, make_unet
from tests.parity.filled import filled
from tests.support.tiny_latentsync import write_vae, write_whisper

MODEL: dict[str, Any] = STRUCTURE | {
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
VAE_CONFIG: dict[str, Any] = {
    "block_out_channels": [8, 8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
}


def write_tiny_musetalk(folder: Path) -> dict[str, dict[str, Any]]:
    """Writes the three models below the folder -> the sections of a configuration with them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "musetalk.json").write_text(json.dumps({**MODEL, "_diffusers_version": "0.6.0.dev0"}))
    torch.save(filled(make_unet(MODEL)).state_dict(), folder / "unet.pth")
    return {
        "generate": {
            "name": "musetalk",
            "checkpoint": str(folder / "unet.pth"),
            "vae": str(write_vae(folder / "vae", VAE_CONFIG)),
            "whisper": str(write_whisper(folder / "whisper" / "tiny.pt")),
        },
    }
