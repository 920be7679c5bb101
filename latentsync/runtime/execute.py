"""Running a network over a batch of faces, and what may not come out of one."""

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
    check_finite(results, "a restored face", name, execution)
    return results.clamp(-1, 1).to(faces)


def check_finite(result: Tensor, what: str, value: str, execution: Execution) -> None:
    """Raises CheckpointError where a network's result holds NaN or infinity. what, value: which.

    The largest fp16 number is 65504: what a network computes may lie beyond it, with good weights.
    """
    if result.isfinite().all():
        return
    remedy = "download the weights again"
    if execution.dtype == torch.float16:
        remedy = f"set runtime.precision=fp32, or bf16 where there is one; if that fails, {remedy}"
    raise CheckpointError(f"NaN or infinity in {what}", value, remedy)
