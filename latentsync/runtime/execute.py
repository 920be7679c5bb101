"""Running a network over a batch of faces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.runtime.execution import Execution


def run_on_faces(
    network: Callable[[Tensor], Tensor], faces: Tensor, *, execution: Execution, name: str
) -> Tensor:
    """faces: (N, 3, h, w) float RGB [-1, 1] -> what the network makes of them, clamped; device and
    number format kept.

    network: (n, 3, h, w) -> (n, 3, h', w'), unclamped; n is 1 on a CPU and where it is compiled.
    name: for the message. Raises CheckpointError where the network gives NaN or infinity.
    """
    # A batch gains no time on a CPU, costs memory, and could tip a decision that is almost tied.
    # What is compiled holds for the one shape that it was compiled for.
    singly = execution.device.type == "cpu" or execution.backend == "compile"
    portions = faces.split(1) if singly else (faces,)
    results = torch.cat([network(portion) for portion in portions])
    if not results.isfinite().all():
        what = "NaN or infinity in a restored face"
        raise CheckpointError(what, name, "download its weights file again")
    return results.clamp(-1, 1).to(faces)
