"""Chooses device, backend and dtype of the networks from the configuration and the machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentsync.errors import CheckpointError, ConfigError
from latentsync.runtime import compiled, openvino
from latentsync.runtime.device import choose_device, thread_count

if TYPE_CHECKING:
    from latentsync.settings.schema import RuntimeConfig

logger = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
INT8 = "int8"
NAMES = {"torch": "PyTorch", "compile": "torch.compile", "openvino": "OpenVINO"}
FIRST_WITH_BF16 = 8  # compute capability; Volta and Turing are 7.x, and upstream takes fp32 there


@dataclass(frozen=True, slots=True)
class Execution:
    """device: of the tensors. backend: torch | compile | openvino. dtype: of the computation.

    threads: of the CPU; 0: all cores. plugin: OpenVINO's device, CPU or GPU.0 ... int8: whether
    the parts of networks that can be run in 8-bit integers are; see runtime.int8.
    """

    device: torch.device
    backend: str
    dtype: torch.dtype
    threads: int = 0
    plugin: str = "CPU"
    int8: bool = False

    def __str__(self) -> str:
        place = f"an Intel {self.plugin}" if self.plugin != "CPU" else str(self.device).upper()
        number = next(name for name, dtype in DTYPES.items() if dtype == self.dtype)
        numbers = f"int8 where that can be, else {number}" if self.int8 else number
        return f"{NAMES[self.backend]}, {numbers}, {place}"


REFERENCE = Execution(torch.device("cpu"), "torch", torch.float32)
"""The reference that faster executions are compared with."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The available hardware.

    device: for PyTorch. capability: of an NVIDIA GPU. plugins: OpenVINO's devices, each with its
    supported precisions; empty: OpenVINO is not installed, or not wanted.
    """

    device: torch.device
    capability: tuple[int, int] = (0, 0)
    plugins: Mapping[str, frozenset[str]] = field(default_factory=dict)


def configure_execution(runtime: RuntimeConfig) -> Execution:
    """The execution for runtime.device, .backend, .precision and .threads; logged in one line.

    Its threads are a number above 0; the process is not changed: see torch_threads. Raises
    ConfigError: a device, backend or precision that is not available on this machine.
    """
    threads = thread_count(runtime.threads)
    execution = replace(execution_for(runtime, detect_machine(runtime)), threads=threads)
    if execution.backend == "compile":
        compiled.check(execution.device)
    counted = f", {threads} thread{'s' * (threads > 1)}"
    on_cpu = counted if execution.device.type == "cpu" else ""
    logger.info("networks: %s%s", execution, on_cpu)
    return execution


def torch_threads(execution: Execution, *, networks: bool = True) -> int:
    """The number of CPU threads that a script should set in PyTorch for a job.

    The stages run in parallel, so only networks that PyTorch runs gain by threads: on two cores
    Detail took 25 ms a frame with two PyTorch threads, which synchronise at every operation, and
    2 ms with one. networks: whether any is run.
    """
    by_torch = execution.backend != "openvino" and execution.device.type == "cpu"
    return thread_count(execution.threads) if networks and by_torch else 1


def detect_machine(runtime: RuntimeConfig) -> Machine:
    """Raises ConfigError: the device is not available."""
    device = choose_device(runtime.device)
    if device.type == "cuda":
        return Machine(device, torch.cuda.get_device_capability(device))
    wanted = device.type == "cpu" and runtime.backend in ("auto", "openvino")
    return Machine(device, plugins=openvino.plugins() if wanted else {})


def execution_for(runtime: RuntimeConfig, machine: Machine) -> Execution:
    """auto: the fastest option. Raises ConfigError where a named option is not available."""
    backend = _backend(runtime, machine)
    # Only OpenVINO uses an Intel GPU, and not with device=cpu.
    gpus = [name for name in machine.plugins if name.startswith("GPU")]
    plugin = gpus[0] if gpus and backend == "openvino" and runtime.device == "auto" else "CPU"
    usable = _precisions(backend, plugin, machine)
    int8 = runtime.precision == INT8 and INT8 in usable
    name = usable[-1] if runtime.precision == "auto" or int8 else runtime.precision
    if name not in usable:
        place = f"{NAMES[backend]} on {machine.device.type if plugin == 'CPU' else 'this GPU'}"
        remedy = f"{place} supports {', '.join(usable)}; use one of these, or auto"
        raise ConfigError("runtime.precision", name, remedy)
    return Execution(machine.device, backend, DTYPES[name], runtime.threads, plugin, int8)


def _backend(runtime: RuntimeConfig, machine: Machine) -> str:
    on_cpu = machine.device.type == "cpu"
    if runtime.backend == "auto":
        if on_cpu and not machine.plugins:
            logger.warning("OpenVINO is not installed: the networks will be slow")
        return "openvino" if on_cpu and machine.plugins else "torch"
    if runtime.backend == "openvino" and not on_cpu:
        remedy = f"it does not run on {machine.device.type}; use torch, or runtime.device=cpu"
        raise ConfigError("runtime.backend", runtime.backend, remedy)
    if runtime.backend == "openvino" and not machine.plugins:
        remedy = "it is not installed: pip install -r requirements.txt; or use torch"
        raise ConfigError("runtime.backend", runtime.backend, remedy)
    return runtime.backend


def _precisions(backend: str, plugin: str, machine: Machine) -> tuple[str, ...]:
    """The supported precisions; the last one is used for `auto`."""
    if backend == "openvino":
        able = machine.plugins[plugin]
        # Without AVX512-bf16 or AMX the plugin would compute in fp32 anyway.
        faster = "bf16" if plugin == "CPU" else "fp16"
        integers = (INT8,) if plugin == "CPU" and INT8.upper() in able else ()
        return (*integers, "fp32", *([faster] if faster.upper() in able else []))
    if machine.device.type == "cuda":
        modern = machine.capability[0] >= FIRST_WITH_BF16
        return ("fp32", "fp16", "bf16") if modern else ("fp16", "fp32")
    if machine.device.type == "mps":
        return ("fp16", "fp32")
    return ("bf16", "fp32")


def run_on_faces(
    network: Callable[[Tensor], Tensor], faces: Tensor, *, execution: Execution, name: str
) -> Tensor:
    """faces: (N, 3, h, w) float RGB [-1, 1] -> the network's results, clamped; same device and
    dtype.

    network: (n, 3, h, w) -> (n, 3, h', w'), unclamped; n is 1 on a CPU and where it is compiled.
    name: for the message. Raises CheckpointError where the network returns NaN or infinity.
    """
    # On a CPU a batch saves no time, costs memory, and its rounding could change a close decision.
    # A compiled network has one fixed shape.
    unbatched = execution.device.type == "cpu" or execution.backend == "compile"
    batches = faces.split(1) if unbatched else (faces,)
    results = torch.cat([network(batch) for batch in batches])
    check_finite(results, "a restored face", name, execution)
    return results.clamp(-1, 1).to(faces)


def check_finite(result: Tensor, what: str, value: str, execution: Execution) -> None:
    """Raises CheckpointError where a network's result holds NaN or infinity. what, value: which.

    The largest fp16 number is 65504: even with good weights a network may exceed it.
    """
    if result.isfinite().all():
        return
    remedy = "download the weights again"
    if execution.dtype == torch.float16:
        remedy = f"set runtime.precision=fp32, or bf16 if supported; if that fails, {remedy}"
    raise CheckpointError(f"NaN or infinity in {what}", value, remedy)


def output_dtype(execution: Execution) -> torch.dtype:
    """dtype of the networks' outputs, in which noise and posteriors are sampled.

    OpenVINO returns float32 whatever it computes in.
    """
    return torch.float32 if execution.backend == "openvino" else execution.dtype
