"""TREPA: the generated frames should look, as a video, like the real ones (arXiv 2412.09262).

Without it every frame may be good and the video flickers.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from latentsync.models.video_mae import VideoMae
from latentsync.training.losses.precision import as_given, dtype_of


def trepa_losses(network: VideoMae, faces: Tensor, wanted: Tensor) -> Tensor:
    """(B, 16, 3, R, R) float RGB [-1, 1] twice, whole faces -> (B,) float32.

    Mean squared difference of the features, each made of length 1. The gradient flows through
    `faces`.
    """
    with as_given(faces.device):
        with torch.no_grad():
            target = F.normalize(video_features(network, wanted), dim=1)
        features = F.normalize(video_features(network, faces), dim=1)
        return (features - target).square().mean(dim=1)


def video_features(network: VideoMae, faces: Tensor) -> Tensor:
    """(B, 16, 3, R, R) float RGB [-1, 1] -> (B, D) float32.

    The network gets RGB in [0, 1], not normalised by ImageNet's mean and deviation: as upstream.
    """
    side = network.options.side
    flat = F.interpolate(faces.float().flatten(0, 1), size=(side, side), mode="bicubic")
    flat = (flat / 2 + 0.5).clamp(0, 1).to(dtype_of(network))
    features = network(rearrange(flat, "(b f) c h w -> b c f h w", b=len(faces)))
    # The smallest divisor of F.normalize is 0 in half precision.
    return features.float()
