"""OpenVINO: a module turned into a graph of static shapes, and the graph run."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution

HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
"""The number format that a graph is run in."""


def library() -> Any:
    """The openvino package, without the part of it that reports every import to its makers."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def plugins() -> dict[str, frozenset[str]]:
    """CPU, GPU.1 ...: the CPU and discrete GPUs, each with the number formats it computes in.

    Empty: OpenVINO is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        return {}
    core = library().Core()
    found = {}
    for name in core.available_devices:
        kind = name.split(".")[0]
        # A processor's own graphics share its memory, and gain little.
        discrete = kind == "GPU" and "DISCRETE" in str(core.get_property(name, "DEVICE_TYPE"))
        if kind == "CPU" or discrete:
            found[name] = frozenset(core.get_property(name, "OPTIMIZATION_CAPABILITIES"))
    return found


def convert(module: nn.Module, examples: Sequence[Tensor]) -> Any:
    """The module as an openvino.Model of open shapes, traced with the examples.

    What the module computes from their shapes in Python becomes constants. The model shares the
    module's weights. The module runs once, on the CPU.
    """
    ov = library()
    decoder = importlib.import_module("openvino.frontend.pytorch.ts_decoder")
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of shapes that become constants: here they are meant to. Its check runs
        # the module three times more.
        warnings.simplefilter("ignore")
        graph = decoder.TorchScriptPythonDecoder(
            module, example_input=tuple(examples), trace_kwargs={"check_trace": False}
        )
        return ov.convert_model(graph)


def save(model: Any, path: Path, *, halved: bool) -> None:
    """Writes the model, and its weights beside it. Raises OSError and RuntimeError.

    halved: weights as fp16, for graphs that are run in 16 bits: half the disk, and the rounding is
    an eighth of bf16's own.
    """
    ov = library()
    ov.save_model(model, path, compress_to_fp16=halved)
    ov.Core().read_model(path)  # a full disk is noticed here at the latest


class Graph:
    """A graph ready to run: tensors of the examples' shapes -> tensors on the CPU.

    Floating point comes out as float32, whatever is computed in. Calls take turns.
    """

    def __init__(
        self, model: Any, examples: Sequence[Tensor], execution: Execution, dtype: torch.dtype
    ) -> None:
        """model: an openvino.Model, or the path of one. dtype: what to compute in."""
        self._inputs = [(tuple(e.shape), _number_format(e)) for e in examples]
        settings: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": HINTS[dtype],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if execution.plugin == "CPU":
            settings["INFERENCE_NUM_THREADS"] = execution.threads or torch.get_num_threads()
        core = library().Core()
        if isinstance(model, Path):
            model = core.read_model(model)
        shapes = (list(shape) for shape, _ in self._inputs)
        model.reshape(dict(zip(model.inputs, shapes, strict=True)))
        compiled = core.compile_model(model, execution.plugin, settings)
        self._request = compiled.create_infer_request()
        self._turn = threading.Lock()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Raises ValueError for other shapes than those of the examples."""
        wanted, given = [shape for shape, _ in self._inputs], [tuple(t.shape) for t in inputs]
        if given != wanted:
            raise ValueError(f"this graph was made for shapes {wanted}, not {given}")
        arrays = [
            tensor.detach().to("cpu", dtype).contiguous().numpy()
            for tensor, (_, dtype) in zip(inputs, self._inputs, strict=True)
        ]
        with self._turn:
            results = self._request.infer(arrays, share_inputs=True)
        return tuple(torch.from_numpy(array) for array in results.to_tuple())


def _number_format(example: Tensor) -> torch.dtype:
    return torch.float32 if example.is_floating_point() else example.dtype
