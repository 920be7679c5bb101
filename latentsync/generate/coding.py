"""Encodes faces to latents with a VAE, and decodes latents to faces.

F frames of R x R pixels, r = R / 8. The VAE's device and dtype are read from it. check: called
before every batch; it may raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

CHANNELS = 4  # of a latent
LATENT_SCALE = 0.18215
"""Of AutoencoderKL, as upstream, whatever the VAE's config says (inference.py:58)."""

Check = Callable[[], None]


def never() -> None:
    """The check of work that cannot be cancelled."""


class Autoencoder(Protocol):
    """The part of diffusers.AutoencoderKL that is used, and the scale of its latents.

    latent_scale: what its latents are multiplied by for a U-Net of Stable Diffusion 1.
    """

    latent_scale: float

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    def encode(self, x: Tensor) -> Any: ...
    def decode(self, z: Tensor) -> Any: ...


@torch.no_grad()
def encode(
    vae: Autoencoder,
    faces: Tensor,
    noise: Tensor | None = None,
    *,
    vae_batch: int = 4,
    check: Check = never,
) -> Tensor:
    """faces: (F, 3, R, R) float RGB [-1, 1] -> (F, 4, r, r), scaled latents.

    noise: (F, 4, r, r): the posterior is sampled with it; None: its mean.
    """
    latents = []
    for start in range(0, len(faces), vae_batch):
        some = slice(start, start + vae_batch)
        check()
        posterior = vae.encode(faces[some].to(vae.device, vae.dtype)).latent_dist
        mean = posterior.mean
        latents.append(mean if noise is None else mean + posterior.std * noise[some].to(mean))
    return torch.cat(latents) * vae.latent_scale


@torch.no_grad()
def decode(
    vae: Autoencoder, latents: Tensor, *, vae_batch: int = 4, check: Check = never
) -> Tensor:
    """latents: (F, 4, r, r) -> (F, 3, R, R) float32 RGB, about [-1, 1], not clamped."""
    decoded = []
    for part in (latents / vae.latent_scale).to(vae.device, vae.dtype).split(vae_batch):
        check()
        decoded.append(vae.decode(part).sample.float())
    return torch.cat(decoded)


def reconstruct(
    vae: Autoencoder, faces: Tensor, *, vae_batch: int = 4, check: Check = never
) -> Tensor:
    """faces: (F, 3, R, R) float RGB [-1, 1] -> encoded and decoded by the VAE."""
    latents = encode(vae, faces, vae_batch=vae_batch, check=check)
    return decode(vae, latents, vae_batch=vae_batch, check=check)
