"""How noise is mixed and added to latents, and how clean latents are estimated."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from latentsync.generate.diffusion.sampling import make_scheduler


def mixed_noise(shared: Tensor, independent: Tensor, alpha: float | None) -> Tensor:
    """shared: (B, 4, 1, r, r), independent: (B, 4, F, r, r), standard normal -> (B, 4, F, r, r).

    Standard normal; frames of a clip have a correlation of alpha**2 / (1 + alpha**2), as in
    "Preserve Your Own Correlation" (arXiv 2305.10474). alpha None: all frames have the shared one.
    """
    if alpha is None:
        return shared.expand_as(independent).clone()
    common = alpha / math.sqrt(1 + alpha**2)
    return common * shared + independent / math.sqrt(1 + alpha**2)


class NoiseSchedule:
    """How much of latents and of noise there is at each time step. All float32.

    Latents, noise: (B, 4, F, r, r). timesteps: (B,) int64, 0 to 999.
    """

    def __init__(self) -> None:
        self._signal = make_scheduler("ddim").alphas_cumprod.float()  # squared, (1000,)

    def to(self, device: torch.device) -> None:
        self._signal = self._signal.to(device)

    def noisy(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        signal, deviation = self.shares(timesteps)
        return signal * latents.float() + deviation * noise.float()

    def estimate(self, noisy: Tensor, predicted: Tensor, timesteps: Tensor) -> Tensor:
        """The clean latents in one step, from the noise that the network has predicted."""
        signal, deviation = self.shares(timesteps)
        return (noisy.float() - deviation * predicted.float()) / signal

    def shares(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Of latents and of noise, (B, 1, 1, 1, 1) each."""
        squared = self._signal[timesteps.to(self._signal.device)].view(-1, 1, 1, 1, 1)
        return squared.sqrt(), (1 - squared).sqrt()
