"""Running a network over a batch of faces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentsync.errors import CheckpointError


def run_on_faces(
    network: Callable[[Tensor], Tensor], faces: Tensor, *, weight: Tensor, name: str
) -> Tensor:
    """faces: (N, 3, h, w) float RGB [-1, 1] -> the same, clamped; device and number format kept.

    weight: any of the network's, whose device and format it works in. name: for the message.
    Raises CheckpointError where the network gives NaN or infinity.
    """
    # A batch gains no time on a CPU, costs memory, and could tip a decision that is almost tied.
    portions = faces.split(1) if weight.device.type == "cpu" else (faces,)
    with torch.inference_mode():
        results = torch.cat([network(portion.to(weight)) for portion in portions])
    if not results.isfinite().all():
        what = "NaN or infinity in a restored face"
        raise CheckpointError(what, name, "download its weights file again")
    return results.clamp(-1, 1).to(faces)
