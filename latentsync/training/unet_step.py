"""One training step of the U-Net: from a batch of clips to its losses.

LatentSync's scripts/train_unet.py:288-420.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.generate.coding import CHANNELS, LATENT_SCALE
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.models.lpips import Lpips
from latentsync.models.stable_syncnet import SIDE, StableSyncNet
from latentsync.models.video_mae import VideoMae
from latentsync.training.batch import Losses, UNetBatch
from latentsync.training.draws import Draws, draw
from latentsync.training.losses.perceptual import lower_half_losses
from latentsync.training.losses.precision import as_given, dtype_of
from latentsync.training.losses.recon import recon_losses
from latentsync.training.losses.sync import mouth_sync_losses
from latentsync.training.losses.trepa import trepa_losses
from latentsync.training.noising import NoiseSchedule, mixed_noise
from latentsync.training.parts import in_parts


@dataclass(frozen=True, slots=True)
class LossWeights:
    """What the losses are multiplied by before they are added; upstream's of stage 2."""

    recon: float = 1.0
    sync: float = 0.05
    perceptual: float = 0.1
    trepa: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """(B, 4, F, r, r) float32 each, scaled: of the faces, of the masked faces, of the reference."""

    faces: Tensor
    masked: Tensor
    reference: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What the U-Net is asked, and the answer.

    sample: (B, 13, F, r, r) float32, its input, which begins with the noisy latents. noise:
    (B, 4, F, r, r), what it should predict. timesteps: (B,).
    """

    sample: Tensor
    noise: Tensor
    timesteps: Tensor

    @property
    def noisy(self) -> Tensor:
        return self.sample[:, :CHANNELS]


class UNetStep:
    """A Task, see batch. `model` is the U-Net.

    All other networks are frozen. They run in the dtype of their weights, and losses are summed in
    float32; an autocast of the caller reaches the U-Net alone.
    """

    def __init__(
        self,
        unet: nn.Module,
        vae: Any,
        keep: Tensor,
        *,
        weights: LossWeights | None = None,
        noise_alpha: float | None = 1.0,
        lpips: Lpips | None = None,
        trepa: VideoMae | None = None,
        syncnet: StableSyncNet | None = None,
        sync_side: int = SIDE,
        frames_at_once: int = 2,
    ) -> None:
        """vae: diffusers.AutoencoderKL. keep: (R, R) float, 1 where the face is kept, 0 where it is
        generated. noise_alpha: see mixed_noise.

        lpips, trepa, syncnet: the networks of three losses; without one, or with a weight of 0, its
        loss is left out. Without all three no face is decoded. sync_side: side of the faces that
        syncnet was trained with. frames_at_once: that are decoded and compared together; fewer take
        less memory, the result is the same but for rounding.
        """
        self.model = unet
        self._vae, self._keep, self._schedule = vae, keep.float(), NoiseSchedule()
        self._weights = weights or LossWeights()
        self._alpha, self._sync_side, self._at_once = noise_alpha, sync_side, frames_at_once
        self._lpips = lpips if self._weights.perceptual else None
        self._trepa = trepa if self._weights.trepa else None
        self._syncnet = syncnet if self._weights.sync else None
        for network in self._frozen():
            network.eval().requires_grad_(False)

    def to(self, device: Any) -> None:
        device = torch.device(device)
        for network in self._frozen():
            network.to(device)
        self._keep = self._keep.to(device)
        self._schedule.to(device)

    def losses(self, model: nn.Module, batch: UNetBatch) -> Losses:
        """parts: recon, and sync, lpips and trepa as far as they are computed."""
        frames, side = batch.faces.shape[1], batch.faces.shape[-1] // LATENT_STEP
        draws = draw(batch.seeds, frames, side).to(batch.faces.device)
        noise = mixed_noise(draws.shared, draws.independent, self._alpha)
        problem = self.problem(self.encode(batch, draws), noise, draws.timesteps)
        predicted = self.predict(model, problem, batch.audio)
        return self._summed(self.terms(predicted, problem, batch))

    def encode(self, batch: UNetBatch, draws: Draws) -> Latents:
        """Samples of the VAE's posteriors."""
        masked = batch.faces * self._keep.to(batch.faces)
        pairs = (
            (batch.faces, draws.faces),
            (masked, draws.masked),
            (batch.reference, draws.reference),
        )
        return Latents(*(self._encoded(faces, noise) for faces, noise in pairs))

    def problem(self, latents: Latents, noise: Tensor, timesteps: Tensor) -> Problem:
        """noise: (B, 4, F, r, r). timesteps: (B,)."""
        noisy = self._schedule.noisy(latents.faces, noise, timesteps)
        mask = F.interpolate(self._keep[None, None], size=noise.shape[-2:], mode="nearest")
        mask = mask[:, :, None].to(noisy).expand(len(noisy), -1, noisy.shape[2], -1, -1)
        sample = torch.cat([noisy, mask, latents.masked, latents.reference], dim=1)
        return Problem(sample, noise, timesteps)

    def predict(self, model: nn.Module, problem: Problem, audio: Tensor) -> Tensor:
        """model: the U-Net, maybe wrapped. audio: (B, F, s, c) -> (B, 4, F, r, r) float32."""
        dtype = dtype_of(self.model)
        condition = rearrange(audio, "b f s c -> (b f) s c").to(dtype)
        predicted: Tensor = model(problem.sample.to(dtype), problem.timesteps, condition)
        return predicted.float()

    def terms(self, predicted: Tensor, problem: Problem, batch: UNetBatch) -> dict[str, Tensor]:
        """predicted: (B, 4, F, r, r) -> name of a loss -> (B,), without its weight."""
        with as_given(predicted.device):
            terms = {"recon": recon_losses(predicted, problem.noise)}
            if self._lpips is None and self._trepa is None and self._syncnet is None:
                return terms
            faces = self.faces(self.estimate(predicted, problem))
            return terms | self._of_faces(faces, batch)

    def estimate(self, predicted: Tensor, problem: Problem) -> Tensor:
        """predicted: (B, 4, F, r, r) -> the clean latents, (B, 4, F, r, r) float32, scaled."""
        return self._schedule.estimate(problem.noisy, predicted, problem.timesteps)

    def faces(self, latents: Tensor) -> Tensor:
        """(B, 4, F, r, r) -> (B, F, 3, R, R) float32 RGB, about [-1, 1], with gradients."""
        flat = rearrange(latents / LATENT_SCALE, "b c f h w -> (b f) c h w")
        decoded = in_parts(self._decoded, flat.to(self._vae.dtype), size=self._at_once)
        return rearrange(decoded, "(b f) c h w -> b f c h w", b=len(latents))

    def _of_faces(self, faces: Tensor, batch: UNetBatch) -> dict[str, Tensor]:
        terms = {}
        if self._syncnet is not None:
            if batch.mel is None:
                raise ValueError("the sync loss needs the mel spectrogram of each clip")
            terms["sync"] = mouth_sync_losses(self._syncnet, faces, batch.mel, self._sync_side)
        if self._lpips is not None:
            terms["lpips"] = lower_half_losses(self._lpips, faces, batch.faces, self._at_once)
        if self._trepa is not None:
            terms["trepa"] = trepa_losses(self._trepa, faces, batch.faces)
        return terms

    def _summed(self, terms: Mapping[str, Tensor]) -> Losses:
        weights = {
            "recon": self._weights.recon,
            "sync": self._weights.sync,
            "lpips": self._weights.perceptual,
            "trepa": self._weights.trepa,
        }
        each = torch.stack([weights[name] * values for name, values in terms.items()]).sum(dim=0)
        parts = {name: values.detach().mean() for name, values in terms.items()}
        return Losses(each.mean(), parts, each.detach())

    def _encoded(self, faces: Tensor, noise: Tensor) -> Tensor:
        """(B, F, 3, R, R), (B, F, 4, r, r) -> (B, 4, F, r, r) float32, scaled."""
        with torch.no_grad(), as_given(faces.device):
            flat = faces.flatten(0, 1).to(self._vae.dtype)
            latents = in_parts(self._sampled, flat, noise.flatten(0, 1), size=self._at_once)
        return rearrange(latents, "(b f) c h w -> b c f h w", b=len(faces))

    def _sampled(self, faces: Tensor, noise: Tensor) -> Tensor:
        posterior = self._vae.encode(faces).latent_dist
        sample: Tensor = posterior.mean.float() + posterior.std.float() * noise
        return sample * LATENT_SCALE

    def _decoded(self, latents: Tensor) -> Tensor:
        decoded: Tensor = self._vae.decode(latents).sample
        return decoded.float()

    def _frozen(self) -> list[nn.Module]:
        networks = (self._vae, self._lpips, self._trepa, self._syncnet)
        return [network for network in networks if network is not None]
