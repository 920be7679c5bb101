"""LPIPS, of the half of the face that is generated."""

from __future__ import annotations

from torch import Tensor

from latentsync.models.lpips import Lpips
from latentsync.training.losses.precision import as_given
from latentsync.training.parts import in_parts


def lower_half_losses(network: Lpips, faces: Tensor, wanted: Tensor, at_once: int) -> Tensor:
    """(B, F, 3, R, R) float RGB [-1, 1] twice -> (B,) float32: mean over the frames.

    at_once: frames that are compared together.
    """
    first, second = _lower_half(faces), _lower_half(wanted)
    with as_given(faces.device):
        distances = in_parts(network, first, second, size=at_once)
    return distances.view(len(faces), -1).mean(dim=1)


def _lower_half(faces: Tensor) -> Tensor:
    """(B, F, 3, R, R) -> (B F, 3, R / 2, R) float32."""
    return faces[..., faces.shape[-2] // 2 :, :].float().flatten(0, 1)
