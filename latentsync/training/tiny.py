"""In place of the VAE where a training is only tried out: small grey images as latents.

No weights, nothing learned: a face of R pixels is averaged down to R / 4 grey pixels a side, of
which each 2 x 2 become the 4 channels of a latent. What a U-Net that trains with it has learned can
be looked at, small and grey.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.generate.coding import CHANNELS, LATENT_SCALE
from latentsync.generate.diffusion.sampling import Denoiser
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.generate.vae import Decoded, Encoded, Posterior
from latentsync.training.noising import NoiseSchedule

_SIDE = 2  # grey pixels of a latent, each way
_SHRINK = LATENT_STEP // _SIDE
_GREY = (0.299, 0.587, 0.114)  # BT.601
_GAIN = 2.0
"""Latents of a U-Net should have a deviation of about 1; grey faces have 0.4 to 0.5."""


class PixelVae(nn.Module):
    """See generate.coding.Autoencoder. The posterior has no deviation. Keeps R / 4 x R / 4 grey
    pixels exactly; what is finer, and all colour, is lost."""

    grey: Tensor
    latent_scale = LATENT_SCALE

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grey", torch.tensor(_GREY).view(1, 3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.grey.device

    @property
    def dtype(self) -> torch.dtype:
        return self.grey.dtype

    def encode(self, x: Tensor) -> Encoded:
        """x: (n, 3, R, R) RGB [-1, 1] -> (n, 4, R / 8, R / 8)."""
        grey = (x * self.grey).sum(dim=1, keepdim=True)
        latents = F.pixel_unshuffle(F.avg_pool2d(grey, _SHRINK), _SIDE)
        mean = latents * (_GAIN / LATENT_SCALE)
        return Encoded(Posterior(mean, torch.zeros_like(mean)))

    def decode(self, z: Tensor) -> Decoded:
        """(n, 4, r, r) -> (n, 3, R, R), the same in all three colours."""
        grey = F.pixel_shuffle(z * (LATENT_SCALE / _GAIN), _SIDE)
        shown = F.interpolate(grey, scale_factor=_SHRINK, mode="nearest")
        return Decoded(shown.expand(-1, 3, -1, -1))


class Bounded:
    """A Denoiser whose estimates of the clean latents lie where those of pixels can, [-2, 2].

    Diffusion of pixels clips them so; without it a network that has hardly begun to learn sends the
    first, noisiest steps astray. Latents of a real VAE have no bounds.
    """

    def __init__(self, unet: Denoiser) -> None:
        self._unet, self._schedule = unet, NoiseSchedule()

    def step(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        *,
        cached: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """See latentsync.models.unet.UNet3DConditionModel.step."""
        noise, deep = self._unet.step(sample, timestep, encoder_hidden_states, cached=cached)
        self._schedule.to(sample.device)
        signal, deviation = self._schedule.shares(torch.as_tensor(timestep).long().view(-1))
        noisy = sample[:, :CHANNELS].float()
        clean = ((noisy - deviation * noise.float()) / signal).clamp(-_GAIN, _GAIN)
        return (noisy - signal * clean) / deviation, deep
