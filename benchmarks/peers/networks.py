"""The restorers' networks for the peers: the same weights by rule, in PyTorch and as ONNX."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchmarks.restorers import checkpoint
from CodeFormer.network import SIZE, CodeFormer
from GFPGAN.network import GFPGANv1Clean, InWindow
from GFPGAN.window import WHOLE
from latentsync.runtime.execution import REFERENCE
from latentsync.weights.load import build
from latentsync.weights.manifest import CODEFORMER, GFPGAN
from tests.parity.rule import face

T = TypeVar("T")

SIDE = SIZE  # of the square face
OPSET = 20


class Weighted(nn.Module):
    """CodeFormer with its second input, (1,) float64, as facefusion's graph has it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        painted: Tensor = self.network(x, weight.float())
        return painted


def in_torch(folder: Path, name: str) -> nn.Module:
    """The network in fp32 on the CPU. name: gfpgan_v14 or codeformer."""
    make, file = (CodeFormer, CODEFORMER) if name == "codeformer" else (GFPGANv1Clean, GFPGAN)
    network: nn.Module = build(make, file, checkpoint(folder, name), REFERENCE.device)
    return network


def one_face() -> Tensor:
    """(1, 3, 512, 512) float32 RGB [-1, 1]."""
    return face("benchmark.face0")


def onnx_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.onnx"


def export(folder: Path, name: str) -> None:
    """Writes the network as ONNX."""
    network, x = in_torch(folder, name), one_face()
    if name == "codeformer":
        inputs = x, torch.tensor([0.5], dtype=torch.float64)
        write_onnx(Weighted(network), inputs, onnx_file(folder, name))
    else:
        write_onnx(InWindow(network, WHOLE), (x,), onnx_file(folder, name))


def write_onnx(network: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """inputs: called `input` and, the second, `weight`."""
    names = ["input", "weight"][: len(inputs)]
    with torch.no_grad():
        torch.onnx.export(
            network.eval(),
            inputs,
            path,
            input_names=names,
            output_names=["output"],
            opset_version=OPSET,
            dynamo=False,  # the other exporter takes ten times as long, and another package
        )


def one_at_a_time(act: Callable[[T], T]) -> Callable[[T], T]:
    """The same, for one thread after the other."""
    turn = threading.Lock()

    def locked(given: T) -> T:
        with turn:
            return act(given)

    return locked
