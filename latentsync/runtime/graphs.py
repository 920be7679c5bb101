"""A function of tensors, recorded once as a CUDA graph: one launch instead of a thousand.

A graph saves time if the CPU cannot launch kernels fast enough: on an H100 half of a step at 256
pixels, a tenth of one at 512. Without CUDA the function is called directly, with the same contract,
so that callers need not distinguish.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from latentsync.runtime.memory import free_bytes, with_need

logger = logging.getLogger(__name__)

Compute = Callable[..., "Tensor | tuple[Tensor, ...]"]

UNRECORDED = 2  # calls with inputs of a shape before it is worth a graph
MOST = 8  # graphs of one function
TIMES = 4
"""What a call needs of GPU memory has to be free so often: a graph keeps memory of its own."""
WARM_UPS = 3  # cuDNN tries its kernels in the first, a compiler may work until the second


class Pool:
    """Memory for intermediate results that the graphs of one caller share, one after the other.

    Good for graphs that never run at the same time: neither in two threads nor on two streams.
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def handle(self) -> Any:
        if self._handle is None:
            self._handle = torch.cuda.graph_pool_handle()
        return self._handle

    def forget(self) -> None:
        """Its graphs are gone: the next one gets new memory."""
        self._handle = None


class Captured:
    """Takes tensors of the examples' shapes, on any device, in any dtype; returns a tuple.

    A result is the caller's own: the next call leaves it alone. Raises ValueError for other shapes.
    Not for two threads at once.
    """

    def __init__(self, function: Compute, examples: Sequence[Tensor]) -> None:
        self._function = function
        self._like = [(example.shape, example.device, example.dtype) for example in examples]

    def __call__(self, *values: Tensor) -> tuple[Tensor, ...]:
        shapes = [tuple(shape) for shape, _, _ in self._like]
        if [tuple(value.shape) for value in values] != shapes:
            found = [tuple(value.shape) for value in values]
            raise ValueError(f"this graph takes tensors of {shapes}, not {found}")
        with torch.no_grad():
            return self._run(values)

    def _run(self, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        moved = [
            v.to(device, dtype) for v, (_, device, dtype) in zip(values, self._like, strict=True)
        ]
        return as_tuple(self._function(*moved))


class _Graph(Captured):
    """A function recorded as a CUDA graph."""

    def __init__(self, function: Compute, examples: Sequence[Tensor], pool: Pool) -> None:
        super().__init__(function, examples)
        # A graph reads and writes where it did when it was recorded. The inputs lie outside the
        # pool: what another graph of the pool leaves there would else overwrite them.
        with torch.inference_mode(False):  # made under it, they could not be written outside it
            self._inputs = [torch.empty_like(example).copy_(example) for example in examples]
        self._graph = torch.cuda.CUDAGraph()
        self._outputs = self._record(pool)

    def _record(self, pool: Pool) -> tuple[Tensor, ...]:
        device = self._inputs[0].device
        side = torch.cuda.Stream(device)  # nothing may be recorded on the default stream
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.no_grad(), torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._function(*self._inputs)
        torch.cuda.current_stream(device).wait_stream(side)
        # Other threads may go on using the GPU: only what this one does must be recordable.
        recording = torch.cuda.graph(
            self._graph, pool=pool.handle(), stream=side, capture_error_mode="thread_local"
        )
        with torch.no_grad(), recording:
            return as_tuple(self._function(*self._inputs))

    def _run(self, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.cuda.device(self._inputs[0].device):
            for own, value in zip(self._inputs, values, strict=True):
                own.copy_(value)
            self._graph.replay()
            return tuple(output.clone() for output in self._outputs)


def capture(function: Compute, *examples: Tensor, pool: Pool | None = None) -> Captured:
    """The function for tensors of these shapes, on the examples' device and in their dtypes.

    function: takes tensors, all of one device, and returns a tensor or a tuple. It reads nothing
    else that changes but weights, which may be changed in place, not replaced. It uses no random
    numbers and does not branch on a tensor's value (the GPU would have to wait for the CPU, which
    fails while recording). Its gradients are not kept. pool: of the graphs that take turns with it.
    """
    if not examples or len({example.device for example in examples}) != 1:
        raise ValueError("a graph needs examples, all on one device")
    if examples[0].device.type != "cuda":
        return Captured(function, examples)
    with torch.cuda.device(examples[0].device):
        return _Graph(function, examples, pool or Pool())


def as_tuple(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (result,) if isinstance(result, Tensor) else tuple(result)


class Recorded:
    """A function that records a graph for inputs of shapes that come often.

    Thread-safe: graphs take turns, as they share memory; so all calls are on one stream. Where no
    graph can be recorded, or memory is short, the function is called. Where memory runs out, all
    graphs of the process are dropped for it, and the function is called once more.
    """

    def __init__(
        self, function: Callable[..., tuple[Tensor, ...]], place: Callable[[Tensor], Tensor]
    ) -> None:
        """function: takes tensors from anywhere; see capture for what it may do. place: moves a
        tensor to the function's device, dtype and layout."""
        self._function, self._place = function, place
        self._calls: Counter[object] = Counter()
        self._needs: dict[object, int] = {}
        self._graphs: dict[object, Captured | None] = {}
        with _TURN:
            _ALL.add(self)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        try:
            return self._called(inputs)
        except torch.OutOfMemoryError:
            if not _drop_graphs():
                raise
        return self._function(*inputs)  # here the error no longer holds what was computed

    def drop(self) -> bool:
        """Whether there were graphs; their shapes are not recorded again. Called in a turn."""
        had = any(graph is not None for graph in self._graphs.values())
        self._graphs = dict.fromkeys(self._graphs)
        return had

    def _called(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        shapes = tuple(tuple(one.shape) for one in inputs)
        with _TURN:
            self._calls[shapes] += 1
            often = self._calls[shapes] >= UNRECORDED
            if often and shapes not in self._needs:  # again, where it failed the first time
                return self._measured(shapes, inputs)
            if often and shapes not in self._graphs and len(self._graphs) < MOST:
                self._graphs[shapes] = self._graph(shapes, inputs)
            graph = self._graphs.get(shapes)
            if graph is not None:
                return graph(*inputs)
        return self._function(*inputs)

    def _measured(self, shapes: object, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        device = self._place(inputs[0]).device
        result, self._needs[shapes] = with_need(lambda: self._function(*inputs), device)
        return result

    def _graph(self, shapes: object, inputs: Sequence[Tensor]) -> Captured | None:
        examples = [self._place(one) for one in inputs]
        if free_bytes(examples[0].device) < TIMES * self._needs[shapes]:
            return None
        try:
            return capture(self._function, *examples, pool=_POOL)
        except RuntimeError as error:  # of CUDA, which has no type of its own for it
            logger.info("no CUDA graph: %s", str(error).partition("\n")[0])
            return None


_TURN, _POOL = threading.Lock(), Pool()
_ALL: weakref.WeakSet[Recorded] = weakref.WeakSet()


def _drop_graphs() -> bool:
    """Frees the memory that graphs keep, which counts as free (see free_bytes) but is for them
    alone. Returns whether there were any."""
    with _TURN:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # the last replay may still be running
        had = [one.drop() for one in _ALL]  # of all of them, not up to the first
        if not any(had):
            return False
        _POOL.forget()
        torch.cuda.empty_cache()
    logger.warning("GPU memory ran out: CUDA graphs are dropped, which makes steps slower")
    return True
