"""OpenVINO: converts a module to a graph, and runs the graph with static shapes."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from latentsync.runtime.device import thread_count

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution

HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
"""dtype -> OpenVINO's name of the inference precision."""


_CONVERTING = threading.Lock()
"""PyTorch's tracer has global state."""
_CORES: list[Any] = []
_MAKING = threading.Lock()


def library() -> Any:
    """The openvino package. Its import sends telemetry where openvino_telemetry is installed and
    not opted out of; the commands disable it, see latentsync.commands.console."""
    return importlib.import_module("openvino")


def core() -> Any:
    """The openvino.Core of this process, which is never let go.

    The CPU plugin of OpenVINO 2026.4, one for each Core, gives the thread that needs it first a
    stack for signals, and puts the one before back when it ends. Where two do not end in the
    reverse order, that one is gone: the next signal, such as Ctrl-C, is a segmentation fault.
    """
    with _MAKING:
        if not _CORES:
            _CORES.append(library().Core())
    return _CORES[0]


def plugins() -> dict[str, frozenset[str]]:
    """CPU, GPU.1 ...: the CPU and discrete GPUs, each with its supported precisions.

    Empty: OpenVINO is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        return {}
    found = {}
    for name in core().available_devices:
        kind = name.split(".")[0]
        # Integrated GPUs share the CPU's memory and gain little.
        discrete = kind == "GPU" and "DISCRETE" in str(core().get_property(name, "DEVICE_TYPE"))
        if kind == "CPU" or discrete:
            found[name] = frozenset(core().get_property(name, "OPTIMIZATION_CAPABILITIES"))
    return found


def convert(module: nn.Module, examples: Sequence[Tensor]) -> Any:
    """The module as an openvino.Model with dynamic shapes, traced with the examples.

    Values that the module computes in Python from shapes become constants: PyTorch's tracer warns
    of that, and here it is intended. The model shares the module's weights. The module runs once,
    on the CPU.
    """
    ov = library()
    decoder = importlib.import_module("openvino.frontend.pytorch.ts_decoder")
    with _CONVERTING, torch.no_grad():
        # strict=False: modules may return lists. The check would run the module three more times.
        # The decoder's own tracing would replace builtins.divmod for all threads.
        traced = torch.jit.trace(module, tuple(examples), check_trace=False, strict=False)
        return ov.convert_model(decoder.TorchScriptPythonDecoder(traced))


def save(model: Any, path: Path, *, halved: bool) -> None:
    """Writes the model, and its weights beside it. Raises OSError and RuntimeError.

    halved: weights as fp16, for graphs that run in 16 bits: half the disk space, and the rounding
    is an eighth of bf16's.
    """
    library().save_model(model, path, compress_to_fp16=halved)
    core().read_model(path)  # a full disk is noticed here at the latest


def with_shapes(model: Any, examples: Sequence[Tensor]) -> Any:
    """An openvino.Model, or one that is read from its path, for inputs of the examples' shapes."""
    if isinstance(model, Path):
        model = core().read_model(model)
    shapes = (list(one.shape) for one in examples)
    model.reshape(dict(zip(model.inputs, shapes, strict=True)))
    return model


class Graph:
    """A compiled graph: tensors of the examples' shapes -> tensors on the CPU.

    Floating-point results are float32, whatever the dtype of the computation. Calls from several
    threads take turns; the results belong to the caller.
    """

    def __init__(
        self, model: Any, examples: Sequence[Tensor], execution: Execution, dtype: torch.dtype
    ) -> None:
        """model: an openvino.Model, or the path of one. dtype: of the computation."""
        self._inputs = [(tuple(e.shape), _input_dtype(e)) for e in examples]
        settings: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": HINTS[dtype],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if execution.plugin == "CPU":
            settings["INFERENCE_NUM_THREADS"] = thread_count(execution.threads)
        compiled = core().compile_model(with_shapes(model, examples), execution.plugin, settings)
        self._request = compiled.create_infer_request()
        self._turn = threading.Lock()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Raises ValueError for other shapes than those of the examples."""
        wanted, given = [shape for shape, _ in self._inputs], [tuple(t.shape) for t in inputs]
        if given != wanted:
            raise ValueError(f"this graph takes shapes {wanted}, not {given}")
        arrays = [
            tensor.detach().to("cpu", dtype).contiguous().numpy()
            for tensor, (_, dtype) in zip(inputs, self._inputs, strict=True)
        ]
        with self._turn:
            results = self._request.infer(arrays, share_inputs=True)
        return tuple(torch.from_numpy(array) for array in results.to_tuple())


def _input_dtype(example: Tensor) -> torch.dtype:
    return torch.float32 if example.is_floating_point() else example.dtype
