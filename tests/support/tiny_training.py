"""Small networks and clips for training steps: a step takes a fraction of a second."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.generate.vae import Decoded, Encoded, Posterior
from latentsync.training.batch import UNetBatch

UNET: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "cross_attention_dim": 48,
    "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
}
SYNCNET: dict[str, Any] = {
    "audio_encoder": {
        "in_channels": 1,
        "block_out_channels": [32, 32],
        "downsample_factors": [[20, 13], 1],
    },
    "visual_encoder": {
        "in_channels": 48,
        "block_out_channels": [32, 32, 32],
        "downsample_factors": [[1, 2], 2, 2],
    },
}
"""For faces of 32 x 32. Both end in 4 x 4 positions: a group norm of a single value is constant."""
FRAMES, SIDE = 16, 32


class SmallVae(nn.Module):
    """As diffusers.AutoencoderKL is used: latents are 8 x 8 blocks of pixels, in four colours."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.colours = nn.Parameter(torch.randn(4, 3, generator=generator))
        self.decoded = 0

    @property
    def dtype(self) -> torch.dtype:
        return self.colours.dtype

    def encode(self, x: Tensor) -> Encoded:
        mean = torch.einsum("kc,nchw->nkhw", self.colours, F.avg_pool2d(x, 8))
        return Encoded(Posterior(mean, torch.full_like(mean, 0.1)))

    def decode(self, z: Tensor) -> Decoded:
        self.decoded += len(z)
        colours = torch.einsum("kc,nkhw->nchw", self.colours, z)
        return Decoded(F.interpolate(colours, scale_factor=8.0, mode="bilinear"))


def clips(count: int = 2, seed: int = 1) -> UNetBatch:
    """count clips of noise; the seeds of their steps are 100, 101, ..."""
    generator = torch.Generator().manual_seed(seed)
    faces = torch.rand(2, count, FRAMES, 3, SIDE, SIDE, generator=generator) * 2 - 1
    return UNetBatch(
        faces=faces[0],
        reference=faces[1],
        audio=torch.randn(count, FRAMES, 50, 48, generator=generator),
        mel=torch.randn(count, 1, 80, 52, generator=generator),
        seeds=torch.arange(100, 100 + count),
        clips=tuple(f"clip{number}.mp4" for number in range(count)),
    )


def one(batch: UNetBatch, number: int) -> UNetBatch:
    """A batch of clip `number` alone."""
    part = slice(number, number + 1)
    assert batch.mel is not None
    return UNetBatch(
        batch.faces[part],
        batch.reference[part],
        batch.audio[part],
        batch.mel[part],
        batch.seeds[part],
        batch.clips[part],
    )
