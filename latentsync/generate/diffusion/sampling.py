"""Latent diffusion of a chunk of mouths, as free functions with the noise as an input.

    conditions = prepare(vae, faces, keep, noise)
    latents = denoise(unet, conditions, audio, noise.initial)
    faces = composite(decode(vae, latents), faces, keep)

F frames of R x R pixels, r = R / 8. The networks' device and dtype are read from their tensors;
between denoising steps latents are float32. No state is kept between two calls.

check: called before every denoising step and every batch of the VAE; it may raise.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from latentsync.generate import coding
from latentsync.generate.coding import Autoencoder, Check, never
from latentsync.generate.diffusion.guidance import WHOLE, guided_steps
from latentsync.generate.diffusion.noise import Noise

SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,  # the last step does not return the pure estimate
    "steps_offset": 1,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
}
"""Upstream's configs/scheduler_config.json, and the defaults of diffusers that it relies on."""
DDIM_ONLY = ("clip_sample", "set_alpha_to_one")

SCHEDULERS = {
    "ddim": ("scheduling_ddim", "DDIMScheduler"),
    "dpmpp_2m": ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "euler": ("scheduling_euler_discrete", "EulerDiscreteScheduler"),
    "unipc": ("scheduling_unipc_multistep", "UniPCMultistepScheduler"),
}
"""Module and class in diffusers.schedulers. All use the noise schedule of the U-Net's training."""

Adjust = Callable[[int, Tensor], Tensor]


def unadjusted(_step: int, noise: Tensor) -> Tensor:
    """The adjustment of a chunk that shares no frames."""
    return noise


class Denoiser(Protocol):
    """See latentsync.models.unet.UNet3DConditionModel.step."""

    def step(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        *,
        cached: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]: ...


@torch.no_grad()
def prepare(
    vae: Autoencoder,
    faces: Tensor,
    keep: Tensor,
    noise: Noise,
    *,
    vae_batch: int = 4,
    check: Check = never,
) -> Tensor:
    """The U-Net's conditions beside the audio, (1, 9, F, r, r): mask, masked latents, reference
    latents, in the VAE's dtype.

    faces: (F, 3, R, R) float RGB [-1, 1]. keep: (R, R) float, 1 where the face is kept, 0 where it
    is generated (upstream's mask.png). vae_batch: frames in a batch of the VAE; it changes the
    result by rounding only.
    """
    batches: Any = {"vae_batch": vae_batch, "check": check}
    mask = F.interpolate(keep[None, None], size=noise.masked.shape[-2:], mode="nearest")
    masked = coding.encode(vae, faces * keep.to(faces), noise.masked, **batches)
    reference = coding.encode(vae, faces, noise.reference, **batches)
    mask = mask.to(masked).expand(len(faces), -1, -1, -1)
    return rearrange(torch.cat([mask, masked, reference], dim=1), "f c h w -> 1 c f h w")


@torch.no_grad()
def denoise(
    unet: Denoiser,
    conditions: Tensor,
    audio: Tensor,
    initial: Tensor,
    *,
    steps: int = 20,
    guidance: float = 1.5,
    guidance_interval: Sequence[float] = WHOLE,
    cache_interval: int = 3,
    scheduler: str = "ddim",
    check: Check = never,
    adjust: Adjust = unadjusted,
) -> Tensor:
    """-> latents (1, 4, F, r, r) float32. No noise is added between steps.

    conditions: of prepare(). audio: (F, s, c). initial: (1, 4, 1, r, r) or for each frame.
    guidance: scale of classifier-free guidance, at twice the cost; up to 1.0 it is off.
    guidance_interval: where in the trajectory it is on; see guided_steps.
    cache_interval: the whole U-Net runs in every cache_interval-th step.
    scheduler: a key of SCHEDULERS; ddim is upstream's.
    adjust: number of the step, from 0, and predicted noise (1, 4, F, r, r) -> the noise that is
    used; see overlap.
    """
    sampler = make_scheduler(scheduler)
    sampler.set_timesteps(steps)
    predict = _Predictor(unet, conditions, audio, guidance)
    x = initial.to(conditions.device, torch.float32) * sampler.init_noise_sigma
    x = x.expand(-1, -1, conditions.shape[2], -1, -1)
    guided = guided_steps(steps, guidance, guidance_interval, cache_interval)
    for number, timestep in enumerate(sampler.timesteps.tolist()):
        check()
        scaled = sampler.scale_model_input(x, timestep)
        whole = number % cache_interval == 0
        noise = predict(scaled, timestep, whole=whole, guided=guided[number])
        x = sampler.step(adjust(number, noise), timestep, x).prev_sample
    return x


def make_scheduler(name: str) -> Any:
    """A new scheduler of diffusers; it holds the state of one run. name: a key of SCHEDULERS."""
    module, attribute = SCHEDULERS[name]
    kind = getattr(importlib.import_module(f"diffusers.schedulers.{module}"), attribute)
    ddim = name == "ddim"
    return kind(**{key: value for key, value in SCHEDULE.items() if ddim or key not in DDIM_ONLY})


class _Predictor:
    """Predicts the noise in latents x (1, 4, F, r, r), with guidance and the step cache."""

    def __init__(self, unet: Denoiser, conditions: Tensor, audio: Tensor, guidance: float) -> None:
        self._unet, self._conditions, self._guidance = unet, conditions, guidance
        self._audio = audio.to(conditions)
        self._cached: Tensor | None = None

    def __call__(self, x: Tensor, timestep: int, *, whole: bool, guided: bool) -> Tensor:
        """guided: as in the whole step before, whose features a cached step uses."""
        sample = torch.cat([x.to(self._conditions), self._conditions], dim=1)
        audio = self._audio
        if guided:
            # The unconditional audio is zeros, which no audio gives; first in the batch, as
            # upstream.
            sample = torch.cat([sample, sample])
            audio = torch.cat([torch.zeros_like(audio), audio])
        noise, self._cached = self._unet.step(
            sample, timestep, audio, cached=None if whole else self._cached
        )
        if not guided:
            return noise.float()
        unconditional, conditional = noise.float().chunk(2)
        return unconditional + self._guidance * (conditional - unconditional)


def decode(
    vae: Autoencoder, latents: Tensor, *, vae_batch: int = 4, check: Check = never
) -> Tensor:
    """latents: (1, 4, F, r, r) -> (F, 3, R, R) float32 RGB, about [-1, 1], not clamped."""
    frames = rearrange(latents, "1 c f h w -> f c h w")
    return coding.decode(vae, frames, vae_batch=vae_batch, check=check)


def composite(decoded: Tensor, faces: Tensor, keep: Tensor) -> Tensor:
    """decoded, faces: (F, 3, R, R) RGB [-1, 1]; keep: (R, R), 1 where `faces` win. -> the same."""
    keep = keep.to(decoded)
    return decoded * (1 - keep) + faces.to(decoded) * keep
