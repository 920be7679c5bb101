"""MuseTalk's arithmetic for a chunk of faces, as free functions.

    latents = inputs(vae, faces, references)
    faces = decode(vae, predict(unet, latents, audio))

F frames of R x R pixels, r = R / 8. Frames do not depend on each other. No state, and nothing is
random: the means of the VAE's posteriors are taken, as in training (utils/utils.py:154-160).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentsync.generate.coding import Autoencoder, Check, encode, never
from latentsync.generate.musetalk.network import positional_code

BLACK = -1.0
"""Where the lower half of a face was."""


def without_lower_half(faces: Tensor) -> Tensor:
    """faces: (F, 3, R, R) float RGB [-1, 1] -> the same, black from the middle row down."""
    upper = faces.clone()
    upper[:, :, faces.shape[2] // 2 :] = BLACK
    return upper


def inputs(
    vae: Autoencoder,
    faces: Tensor,
    references: Tensor,
    *,
    vae_batch: int = 4,
    check: Check = never,
) -> Tensor:
    """The U-Net's input, (F, 8, r, r).

    faces: (F, 3, R, R) float RGB [-1, 1]; lower halves do not count. references: (F, 4, r, r),
    of coding.encode.
    """
    masked = encode(vae, without_lower_half(faces), vae_batch=vae_batch, check=check)
    return torch.cat([masked, references.to(masked)], dim=1)


@torch.no_grad()
def predict(unet: Callable[[Tensor, Tensor], Tensor], latents: Tensor, audio: Tensor) -> Tensor:
    """latents: of inputs(). audio: (F, 50, 384) -> (F, 4, r, r), latents of the new faces."""
    return unet(latents, (audio + positional_code().to(audio)).to(latents))
