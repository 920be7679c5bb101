"""Prepares a network, or parts of it, for a backend: the interface of the backends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from latentsync.errors import ConfigError
from latentsync.places import command
from latentsync.runtime import cache, compiled, int8, openvino
from latentsync.runtime.execution import Execution
from latentsync.runtime.graph_rewrites import rewrite
from latentsync.runtime.graphs import Recorded
from latentsync.runtime.group_norm import use_channels_last_norms
from latentsync.runtime.heartbeat import heartbeat
from latentsync.runtime.memory import set_memory_format
from latentsync.weights.record import file_sha256, sha256

logger = logging.getLogger(__name__)

Runner = Callable[..., tuple[Tensor, ...]]

GRAPH_VERSION = 3
"""To be raised when this code converts the same network to a different graph."""


def versions() -> dict[str, str]:
    """Of what converts networks: a graph that another one made is never used again."""
    return {
        "version": str(GRAPH_VERSION),
        "openvino": openvino.library().__version__,
        "torch": torch.__version__,
    }


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a network that is run as one module.

    name: for messages and the cache. of: the whole network -> the module, whose forward takes
    tensors and returns one, or a tuple. precise: always in float32. small: example inputs to trace
    one graph with for all shapes; None: one graph for each shape. int8: whether it may be run in
    8-bit integers: its first result is a picture [-1, 1].
    """

    name: str
    of: Callable[[nn.Module], nn.Module]
    precise: bool = False
    small: tuple[Tensor, ...] | None = None
    int8: bool = False


class Networks:
    """The network of one weights file, run by the execution.

    build: dtype -> the network with its weights, on the execution's device, in eval mode. Called at
    once, so that a bad file raises early; for OpenVINO only when a part is not in the cache.
    checkpoint: the file that it reads. sources: the Python modules that define the network, and
    variant: what else it depends on, as text; both are part of the cache key. Runners do not keep
    this object alive. It and its runners are thread-safe: a part is prepared once, while other
    threads wait for it.
    """

    def __init__(
        self,
        build: Callable[[torch.dtype], nn.Module],
        *,
        name: str,
        checkpoint: Path,
        execution: Execution,
        sources: Sequence[ModuleType] = (),
        variant: str = "",
    ) -> None:
        self.name, self.checkpoint, self.execution = name, checkpoint, execution
        self._sources, self._variant = tuple(sources), variant
        self._build = build
        self._built: dict[torch.dtype, nn.Module] = {}
        self._ready: dict[object, Runner] = {}
        self.in_int8: dict[str, int8.Note] = {}
        """Name of a part that is run in int8 -> what is known of its graph."""
        self._turn = threading.RLock()  # held while a part is prepared, not while it runs
        if execution.backend != "openvino":
            self._network(execution.dtype)

    def part(self, part: Part, *examples: Tensor) -> Runner:
        """Prepares a part for the examples' shapes.

        The runner takes tensors of exactly these shapes (PyTorch: any that the module takes), on
        any device, and returns a tuple of tensors on the execution's device: float32 from OpenVINO,
        else the execution's dtype. No gradients. Raises CheckpointError and ConfigError.
        """
        key = (part.name, _marks(examples))
        ready = self._ready.get(key)
        if ready is None:
            with self._turn:
                ready = self._ready.get(key)
                if ready is None:
                    ready = self._ready[key] = self._prepared(part, examples)
        return ready

    def quantize(
        self, part: Part, examples: Sequence[Tensor], checked: Sequence[Tensor]
    ) -> int8.Note:
        """Makes the part's graph in int8, which replaces an earlier one, and compares it.

        examples: inputs of the part, which takes one, to find scales with. checked: other ones, to
        compare results on. Raises ConfigError where that cannot be.
        """
        execution, one = self.execution, tuple(examples[:1])
        runs = {
            dtype: openvino.Graph(self._graph(part, one, dtype), one, execution, dtype)
            for dtype in (torch.float32, execution.dtype)
        }

        def make() -> tuple[Any, int8.Note]:
            model = openvino.with_shapes(self._graph(part, one, torch.float32), one)
            fast = int8.quantized(model, [[example.numpy()] for example in examples])
            run = openvino.Graph(fast, one, execution, execution.dtype)
            return fast, int8.compare(
                runs[torch.float32], runs[execution.dtype], run, checked, examples=len(examples)
            )

        def save(made: tuple[Any, int8.Note], path: Path) -> None:
            openvino.save(made[0], path, halved=False)
            int8.write_note(made[1], path)

        int8.nncf()  # raises before the work where it is not installed
        made = cache.kept(self._int8_key(part, one), make, save, int8.FILES, anew=True)
        if not isinstance(made, Path):
            raise ConfigError("the int8 graph cannot be kept in", cache.folder(), "see above")
        return int8.read_note(made)

    def release(self) -> None:
        """Frees the weights where runners do not need them; another part reads them again."""
        with self._turn:
            self._built.clear()

    def _prepared(self, part: Part, examples: tuple[Tensor, ...]) -> Runner:
        execution = self.execution
        dtype = torch.float32 if part.precise else execution.dtype
        if execution.int8 and part.int8:
            path = self.int8_file(part, *examples)
            self.in_int8[part.name] = note = int8.read_note(path)
            logger.info("%s in int8: %s", self._named(part), note)
            return openvino.Graph(path, examples, execution, dtype)
        if execution.backend == "openvino":
            return openvino.Graph(self._graph(part, examples, dtype), examples, execution, dtype)
        module = part.of(self._network(dtype))
        if execution.backend == "compile":
            placed = [_placed(example, execution.device, dtype) for example in examples]
            with heartbeat(f"compiling {self._named(part)}"):
                module = compiled.compile_module(module, *placed)
        return _run_by_torch(module, execution, dtype)

    def _graph(self, part: Part, examples: tuple[Tensor, ...], dtype: torch.dtype) -> Any:
        """An openvino.Model, or the path of one."""
        halved = dtype != torch.float32
        rewritten = not halved and self.execution.plugin == "CPU"
        examples = part.small or examples
        placed = [_placed(example, self.execution.device, torch.float32) for example in examples]

        def make() -> Any:
            module = part.of(self._network(torch.float32))
            with heartbeat(f"converting {self._named(part)} for OpenVINO"):
                model = openvino.convert(module, placed)
                if rewritten:
                    rewrite(model)
                return model

        stored = {"stored": "fp16" if halved else "fp32", "rewritten": str(rewritten)}
        key = self._key(part, examples) | stored
        return cache.kept(key, make, partial(openvino.save, halved=halved))

    def int8_file(self, part: Part, *examples: Tensor) -> Path:
        """Of the part's graph in int8. Raises ConfigError where it is yet to be made."""
        path = cache.found(self._int8_key(part, examples), int8.FILES)
        if path is None:
            make = f"{command('cache')} quantize --superres {self.name} --input VIDEO ..."
            same = "with the same weights, on this machine"
            remedy = f"{self._named(part)} is not there in int8 yet; make it {same}: {make}"
            raise ConfigError("runtime.precision", "int8", remedy)
        return path

    def _int8_key(self, part: Part, examples: Sequence[Tensor]) -> dict[str, str]:
        return self._key(part, tuple(examples)) | {"stored": "int8", "int8": int8.VERSION}

    def _key(self, part: Part, examples: tuple[Tensor, ...]) -> dict[str, str]:
        """All that a graph depends on, except the dtype of its stored weights."""
        sources = (Path(str(module.__file__)) for module in self._sources)
        return {
            **versions(),
            "network": self.name,
            "part": part.name,
            "checkpoint": sha256(self.checkpoint),
            "sources": " ".join(map(file_sha256, sources)),
            "variant": self._variant,
            "inputs": " ".join(str(mark) for mark in _marks(examples)),
        }

    def _named(self, part: Part) -> str:
        return f"{self.name} ({part.name})"

    def _network(self, dtype: torch.dtype) -> nn.Module:
        if dtype not in self._built:
            network = self._build(dtype)
            if _channels_last(self.execution.device, dtype):
                set_memory_format(network, torch.channels_last)
            if _own_norms(self.execution, dtype):
                use_channels_last_norms(network)
            self._built[dtype] = network
        return self._built[dtype]


def _marks(examples: Sequence[Tensor]) -> tuple[tuple[object, ...], ...]:
    """The part of the key that depends on tensors: shapes, and dtypes of integers only."""
    return tuple(
        (tuple(one.shape), "real" if one.is_floating_point() else str(one.dtype))
        for one in examples
    )


def _run_by_torch(module: nn.Module, execution: Execution, dtype: torch.dtype) -> Runner:
    run = Eager(module, execution.device, dtype)
    if execution.device.type != "cuda" or execution.backend != "torch":
        return run
    return Recorded(run, partial(_placed, device=execution.device, dtype=dtype))


class Eager:
    """A module run by PyTorch, compiled or not, operation by operation."""

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self._module, self._device, self._dtype = module, device, dtype

    @torch.no_grad()
    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        result = self._module(*(_placed(one, self._device, self._dtype) for one in inputs))
        return result if isinstance(result, tuple) else (result,)


def _placed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    tensor = tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)
    last = tensor.dim() == 4 and _channels_last(device, dtype)
    return tensor.contiguous(memory_format=torch.channels_last) if last else tensor


def _own_norms(execution: Execution, dtype: torch.dtype) -> bool:
    """torch.compile makes its own kernels; float32 is computed as the reference computes it."""
    cuda = execution.device.type == "cuda" and execution.backend == "torch"
    return cuda and dtype != torch.float32


def _channels_last(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether convolutions are faster in that layout; the float32 reference is not changed."""
    return device.type == "cuda" or (device.type == "cpu" and dtype != torch.float32)
