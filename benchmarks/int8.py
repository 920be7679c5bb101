"""What 8-bit integers gain on a CPU; see latentsync/runtime/int8.py.

    python -m benchmarks.int8 [--only NAME ...]

Networks with random weights, in float32 and in int8, in turns. Takes 10 minutes on two cores.
How far results are apart is not said: with random weights it would say nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.graph_rewrites import HOW, WORK
from benchmarks.measure import in_turns, machine
from benchmarks.random_networks import random_weights
from GFPGAN.network import SIZE, GFPGANv1Clean, InWindow
from GFPGAN.restorer import USUAL
from latentsync.runtime import openvino
from latentsync.runtime.graph_rewrites import rewrite
from latentsync.runtime.int8 import quantized
from latentsync.runtime.network import Part

EXAMPLES = 2  # that numbers are scaled by: enough for the time


def _face() -> list[Tensor]:
    return [torch.rand(1, 3, SIZE, SIZE) * 2 - 1]


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Part, Callable[[], Sequence[Tensor]]]] = {
    "gfpgan-mouth": (
        GFPGANv1Clean,
        Part("mouth", partial(InWindow, window=USUAL["mouth"])),
        _face,
    ),
    "gfpgan-whole": (GFPGANv1Clean, Part("whole", lambda net: net), _face),
    **{name: WORK[name] for name in ("musetalk", "vae-decoder")},
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=[*NETWORKS], metavar="NAME")
    names = parser.parse_args(arguments).only
    print(machine())
    print("| network | fp32 | int8 | times as fast |")
    print("|---|---|---|---|")
    for name in names:
        print(_row(name), flush=True)


@torch.no_grad()
def _row(name: str) -> str:
    make, part, inputs = NETWORKS[name]
    module = part.of(random_weights(make, HOW.device, HOW.dtype))
    given = [list(inputs()) for _ in range(EXAMPLES)]
    model = openvino.convert(module, given[0])
    rewrite(model)
    plain = openvino.with_shapes(model, given[0])
    with redirect_stdout(sys.stderr):  # NNCF's progress
        fast = quantized(plain, [[one.numpy() for one in each] for each in given])
    runs: dict[str, Callable[[], object]] = {
        how: partial(openvino.Graph(one, given[0], HOW, HOW.dtype), *given[0])
        for how, one in (("fp32", plain), ("int8", fast))
    }
    before, after = in_turns(runs).values()
    return f"| {name} | {before:.2f} s | {after:.2f} s | {before / after:.2f} |"


if __name__ == "__main__":
    main()
