"""Where and how the networks run: chosen once, from the configuration and what the machine has."""

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
NAMES = {"torch": "PyTorch", "compile": "torch.compile", "openvino": "OpenVINO"}
FIRST_WITH_BF16 = 8  # compute capability; Volta and Turing are 7.x, and upstream takes fp32 there


@dataclass(frozen=True, slots=True)
class Execution:
    """device: of the tensors. backend: torch | compile | openvino. dtype: what is computed in.

    threads: of the CPU; 0: all cores. plugin: OpenVINO's device, CPU or GPU.0 ...
    """

    device: torch.device
    backend: str
    dtype: torch.dtype
    threads: int = 0
    plugin: str = "CPU"

    def __str__(self) -> str:
        place = f"an Intel {self.plugin}" if self.plugin != "CPU" else str(self.device).upper()
        number = next(name for name, dtype in DTYPES.items() if dtype == self.dtype)
        return f"{NAMES[self.backend]}, {number}, {place}"


REFERENCE = Execution(torch.device("cpu"), "torch", torch.float32)
"""What everything faster is measured against."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on.

    device: that PyTorch is to use. capability: of an NVIDIA card. plugins: OpenVINO's devices, each
    with the number formats that it computes in; none: OpenVINO is not installed, or not asked for.
    """

    device: torch.device
    capability: tuple[int, int] = (0, 0)
    plugins: Mapping[str, frozenset[str]] = field(default_factory=dict)


def configure_execution(runtime: RuntimeConfig) -> Execution:
    """What runtime.device, .backend, .precision and .threads come to; said in one line.

    Its threads are a number, never 0; the process is left as it is: see torch_threads. Raises
    ConfigError: something that is asked for by name and cannot be had on this machine.
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
    """How many CPU threads PyTorch should have in a process that runs a job; for scripts to set.

    The stages run at the same time, so that none gains by threads of its own but a network that
    PyTorch runs: on two cores Detail took 25 ms a frame with two threads of PyTorch's, which wait
    for each other at every step, and 2 ms with one. networks: whether any is run.
    """
    by_torch = execution.backend != "openvino" and execution.device.type == "cpu"
    return thread_count(execution.threads) if networks and by_torch else 1


def detect_machine(runtime: RuntimeConfig) -> Machine:
    """Raises ConfigError: a device that is not there."""
    device = choose_device(runtime.device)
    if device.type == "cuda":
        return Machine(device, torch.cuda.get_device_capability(device))
    wanted = device.type == "cpu" and runtime.backend in ("auto", "openvino")
    return Machine(device, plugins=openvino.plugins() if wanted else {})


def execution_for(runtime: RuntimeConfig, machine: Machine) -> Execution:
    """auto is what is fastest there; what is asked for by name is had, or refused."""
    backend = _backend(runtime, machine)
    # An Intel GPU is found by OpenVINO alone. Who says device=cpu means the CPU.
    gpus = [name for name in machine.plugins if name.startswith("GPU")]
    plugin = gpus[0] if gpus and backend == "openvino" and runtime.device == "auto" else "CPU"
    usable = _precisions(backend, plugin, machine)
    name = runtime.precision if runtime.precision != "auto" else usable[-1]
    if name not in usable:
        place = f"{NAMES[backend]} on {machine.device.type if plugin == 'CPU' else 'this GPU'}"
        remedy = f"{place} computes in {' or '.join(usable)}; use one of auto, {', '.join(usable)}"
        raise ConfigError("runtime.precision", name, remedy)
    return Execution(machine.device, backend, DTYPES[name], runtime.threads, plugin)


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
    """Those that may be asked for; the last one is taken for `auto`."""
    if backend == "openvino":
        able = machine.plugins[plugin]
        # Without AVX512-bf16 or AMX the plugin would compute in fp32 all the same.
        faster = "bf16" if plugin == "CPU" else "fp16"
        return ("fp32", faster) if faster.upper() in able else ("fp32",)
    if machine.device.type == "cuda":
        modern = machine.capability[0] >= FIRST_WITH_BF16
        return ("fp32", "fp16", "bf16") if modern else ("fp16", "fp32")
    if machine.device.type == "mps":
        return ("fp16", "fp32")
    return ("bf16", "fp32")


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
    unbatched = execution.device.type == "cpu" or execution.backend == "compile"
    portions = faces.split(1) if unbatched else (faces,)
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
