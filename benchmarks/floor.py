"""Lower bound of the time: the machine's peak rate of arithmetic, and what the networks need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import execution, in_turns, peak_megabytes
from benchmarks.table import Row
from latentsync.runtime import openvino
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.network import Eager

LAYERS = 3
ROUNDS = 5
WIDTH, SIDE = 256, 128  # of the convolutions: the shape that restorers spend most time in
FEATURES, ROWS = 2048, 1024  # of the matrices


def work_of(make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> float:
    """GFLOP of one pass, counted without computing; a multiplication and its addition are two."""
    with torch.device("meta"):
        network = make().eval().requires_grad_(False)  # the counter fails on gradients
        inputs = [torch.empty(shape) for shape in shapes]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return counter.get_total_flops() / 1e9


def convolutions() -> nn.Sequential:
    return nn.Sequential(*[nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(LAYERS)])


def matrices() -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(FEATURES, FEATURES) for _ in range(LAYERS)])


WORK: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutions": (convolutions, (1, WIDTH, SIDE, SIDE)),
    "matrices": (matrices, (ROWS, FEATURES)),
}


def floor(_folder: Path) -> list[Row]:
    """Large convolutions and matrix products, in the fastest dtype and in fp32."""
    first, *others = (_row(name, make, torch.randn(shape)) for name, (make, shape) in WORK.items())
    # The others' peak would include the first's baseline.
    return [first, *(replace(row, peak=0) for row in others)]


def _row(name: str, make: Callable[[], nn.Module], x: Tensor) -> Row:
    fast = _runner(make(), x, execution())
    exact = _runner(make(), x, execution(precision="fp32"))
    peak = peak_megabytes()
    plain = _runner(make(), x, REFERENCE)
    seconds = in_turns(
        {"fast": lambda: fast(x), "exact": lambda: exact(x), "plain": lambda: plain(x)}, ROUNDS
    )
    work = work_of(make, tuple(x.shape))
    speed = {key: f"{work / one:.0f}" for key, one in seconds.items()}
    note = f"{speed['fast']} GFLOP/s; fp32 {speed['exact']}, torch {speed['plain']}"
    return Row(f"floor, {name}", seconds["fast"], seconds["plain"], "torch fp32", peak, note)


def _runner(module: nn.Module, x: Tensor, how: Execution) -> Callable[..., tuple[Tensor, ...]]:
    module = module.eval().requires_grad_(False)
    if how.backend == "openvino":
        return openvino.Graph(openvino.convert(module, [x]), [x], how, how.dtype)
    return Eager(module.to(how.device, how.dtype), how.device, how.dtype)
