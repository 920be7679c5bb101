"""The loss that diffusion is trained by."""

from __future__ import annotations

from torch import Tensor


def recon_losses(predicted: Tensor, noise: Tensor) -> Tensor:
    """(B, 4, F, r, r) twice -> (B,) float32: mean squared error at all positions, masked or not."""
    return (predicted.float() - noise.float()).square().flatten(1).mean(dim=1)
