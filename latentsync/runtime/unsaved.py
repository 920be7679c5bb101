"""Runs a network without a weights file: nothing is kept in the cache of converted networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from latentsync.runtime import openvino
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Eager, Runner


def runner(module: nn.Module, inputs: Sequence[Tensor], execution: Execution) -> Runner:
    """As of runtime.network.Networks, for inputs of these shapes.

    torch.compile is left out: it takes minutes and gains little.
    """
    if execution.backend == "openvino":
        graph = openvino.convert(module, inputs)
        return openvino.Graph(graph, inputs, execution, execution.dtype)
    return Eager(module.to(execution.dtype), execution.device, execution.dtype)
