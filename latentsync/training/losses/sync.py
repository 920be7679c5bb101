"""Whether the generated mouths fit the audio, as StableSyncNet judges."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from latentsync.models.stable_syncnet import StableSyncNet, stacked, sync_losses
from latentsync.training.losses.precision import as_given, dtype_of


def mouth_sync_losses(network: StableSyncNet, faces: Tensor, mel: Tensor, side: int) -> Tensor:
    """faces: (B, 16, 3, R, R) float RGB [-1, 1], mel: (B, 1, 80, 52) -> (B,) float32.

    side: of the faces that the network was trained with [pixels].
    """
    with as_given(faces.device):
        dtype = dtype_of(network)
        vision, audio = network(network_input(faces, side).to(dtype), mel.to(dtype))
        return sync_losses(vision, audio, torch.ones(len(faces), device=faces.device))


def network_input(faces: Tensor, side: int) -> Tensor:
    """(B, 16, 3, R, R) float RGB [-1, 1] -> (B, 48, side / 2, side) float32: lower halves."""
    faces = faces.float()
    if faces.shape[-1] != side:
        flat = F.interpolate(faces.flatten(0, 1), size=(side, side), mode="bicubic")
        faces = flat.unflatten(0, faces.shape[:2])
    return stacked(faces)
