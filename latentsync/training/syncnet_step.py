"""One training step of StableSyncNet (scripts/train_syncnet.py:180-236 of LatentSync)."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from latentsync.generate.coding import LATENT_SCALE
from latentsync.models.stable_syncnet import IN_SYNC, agreement, stacked, sync_losses
from latentsync.training.batch import Losses, SyncBatch
from latentsync.training.losses.precision import as_given
from latentsync.training.parts import in_parts


class SyncNetStep:
    """A Task, see batch. `model` is the StableSyncNet."""

    def __init__(self, syncnet: nn.Module, vae: Any = None, *, frames_at_once: int = 16) -> None:
        """vae: diffusers.AutoencoderKL, for a network that takes latents of whole faces; None: one
        that takes the pixels of the lower half. frames_at_once: that the VAE encodes together.
        """
        self.model, self._vae, self._at_once = syncnet, vae, frames_at_once
        if vae is not None:
            vae.eval().requires_grad_(False)

    def to(self, device: Any) -> None:
        if self._vae is not None:
            self._vae.to(device)

    def losses(self, model: nn.Module, batch: SyncBatch) -> Losses:
        """parts: sync. figures: accuracy, the share of pairs on whose right side of IN_SYNC the
        cosine is, [0, 1]."""
        vision, audio = model(self.network_input(batch.faces), batch.mel)
        with as_given(vision.device):
            each = sync_losses(vision, audio, batch.in_sync)
            right = (agreement(vision, audio) > IN_SYNC) == (batch.in_sync > 0.5)
        total = each.mean()
        accuracy = float(right.float().mean())
        return Losses(total, {"sync": total.detach()}, each.detach(), {"accuracy": accuracy})

    def network_input(self, faces: Tensor) -> Tensor:
        """(B, 16, 3, R, R) -> (B, 48, R / 2, R), or of latents (B, 64, R / 8, R / 8)."""
        if self._vae is None:
            return stacked(faces)
        with torch.no_grad(), as_given(faces.device):
            flat = faces.flatten(0, 1).to(self._vae.dtype)
            latents = in_parts(self._encoded, flat, size=self._at_once)
        return rearrange(latents, "(b f) c h w -> b (f c) h w", b=len(faces))

    def _encoded(self, faces: Tensor) -> Tensor:
        """The posterior's mean: what is trained on should not be other at each look."""
        mean: Tensor = self._vae.encode(faces).latent_dist.mean
        return mean.float() * LATENT_SCALE
