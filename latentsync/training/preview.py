"""PNGs of what a U-Net generates for a clip of its own data, where it trains with PixelVae."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from latentsync.generate.coding import CHANNELS, Autoencoder, decode, encode
from latentsync.generate.diffusion.sampling import denoise
from latentsync.models.unet import UNet3DConditionModel
from latentsync.places import part_file
from latentsync.training.batch import UNetBatch
from latentsync.training.tiny import Bounded

logger = logging.getLogger(__name__)

FOLDER = "previews"
_SHOWN = 6  # frames of a clip


class Clips(Protocol):
    """A dataset, as training.data.datasets.UNetDataset."""

    def set_epoch(self, epoch: int) -> None: ...

    def __getitem__(self, index: int) -> Any: ...

    def collate(self, samples: list[Any]) -> UNetBatch: ...


class Preview:
    """Writes OUTPUT/previews/step-00001000.png: frames of the first clip, one beside the other;
    below each what the U-Net is given of it, the best that this VAE could show, and what the U-Net
    has made.

    unet: as it is trained, on any device; the trainer puts averaged weights in. keep: (R, R) float,
    1 where the face is kept.
    """

    runs_the_model = True

    def __init__(
        self,
        unet: UNet3DConditionModel,
        vae: Autoencoder,
        keep: Tensor,
        clips: Clips,
        output: Path,
        *,
        steps: int = 20,
    ) -> None:
        self._unet, self._vae, self._keep, self._clips = unet, vae, keep.float(), clips
        self._folder, self._steps = output / FOLDER, steps

    def __call__(self, _weights: Path, step: int) -> dict[str, float]:
        """mouth_error: mean difference of what was generated to the best that the VAE could show
        [8-bit code values].

        The same clip and the same noise at each step. Raises what the dataset raises.
        """
        self._clips.set_epoch(0)
        batch = self._clips.collate([self._clips[0]])
        training = self._unet.training
        self._unet.eval()
        try:
            made = generated(self._unet, self._vae, self._keep, batch, steps=self._steps)
        finally:
            self._unet.train(training)
        path = self._folder / f"step-{step:08d}.png"
        given, best = batch.faces[0] * self._keep, self._best(batch.faces[0])
        write_picture(path, [batch.faces[0], given, best, made])
        error = (made - best).abs() * (1 - self._keep)
        mean = float(error.sum() / (1 - self._keep).sum() / (3 * len(made)) * 127.5)
        logger.info("step %d: %s, mouths differ by %.1f of 255", step, path, mean)
        return {"mouth_error": mean}

    @torch.no_grad()
    def _best(self, faces: Tensor) -> Tensor:
        """(F, 3, R, R) -> the same, as encoded and decoded where it is not kept."""
        there = faces.to(next(self._unet.parameters()).device)
        shown = decode(self._vae, encode(self._vae, there)).clamp(-1, 1).float().cpu()
        return faces * self._keep + shown * (1 - self._keep)


@torch.no_grad()
def generated(
    unet: UNet3DConditionModel, vae: Autoencoder, keep: Tensor, batch: UNetBatch, *, steps: int = 20
) -> Tensor:
    """The first clip of the batch, (F, 3, R, R) float32 RGB [-1, 1], on the CPU.

    From noise that all frames share, without guidance, as in training with the reference of the
    batch. The face is the batch's where it is kept.
    """
    device = next(unet.parameters()).device
    faces = batch.faces[0].to(device)
    keep = keep.to(device)
    masked, reference = (encode(vae, x) for x in (faces * keep, batch.reference[0].to(device)))
    mask = F.interpolate(keep[None, None], size=masked.shape[-2:], mode="nearest")
    mask = mask.expand(len(faces), -1, -1, -1).to(masked)
    given = rearrange(torch.cat([mask, masked, reference], dim=1), "f c h w -> 1 c f h w")
    dtype = next(unet.parameters()).dtype
    random = torch.Generator().manual_seed(int(batch.seeds[0]) % 2**63)
    noise = torch.randn(1, CHANNELS, 1, *masked.shape[-2:], generator=random)
    audio = batch.audio[0].to(device, dtype)
    latents = denoise(
        Bounded(unet), given.to(dtype), audio, noise, steps=steps, guidance=1.0, cache_interval=1
    )
    made = decode(vae, rearrange(latents, "1 c f h w -> f c h w"))
    return (faces * keep + made.clamp(-1, 1) * (1 - keep)).float().cpu()


def write_picture(path: Path, rows: list[Tensor]) -> None:
    """rows: (F, 3, R, R) float RGB [-1, 1] each; some frames of each, one row below the other."""
    lines = []
    for row in rows:
        shown = row[:: max(1, len(row) // _SHOWN)][:_SHOWN].float().cpu()
        levels = ((shown + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        lines.append(rearrange(levels.numpy(), "n c h w -> h (n w) c"))
    done, data = cv2.imencode(".png", np.concatenate(lines)[..., ::-1])
    assert done
    with part_file(path) as part:
        part.write_bytes(data.tobytes())
