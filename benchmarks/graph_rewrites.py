"""What rewriting graphs gains on a CPU in float32; see latentsync/runtime/graph_rewrites.py.

    python -m benchmarks.graph_rewrites [--only NAME ...]

Networks with random weights, as converted and rewritten, in turns; and how far each result is from
PyTorch's, in parts of its largest value. Takes 5 minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.measure import in_turns, machine
from benchmarks.random_networks import random_weights
from CodeFormer.network import CODE, GRID, SIZE, CodeFormer
from CodeFormer.parts import ENCODER, PlainPainter
from latentsync.generate import vae
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.generate.musetalk.network import WHOLE, examples, make_unet
from latentsync.runtime import openvino
from latentsync.runtime.execution import Execution
from latentsync.runtime.graph_rewrites import rewrite
from latentsync.runtime.network import Part

HOW = Execution(torch.device("cpu"), "openvino", torch.float32)
FACE = 256  # side of a generated face
PAINTER = Part("generator", lambda net: PlainPainter(net))  # type: ignore[arg-type]
CODES, FEATURES = torch.arange(GRID * GRID)[None], (1, CODE, GRID, GRID)

WORK: dict[str, tuple[Callable[[], nn.Module], Part, Callable[[], Sequence[Tensor]]]] = {
    "vae-encoder": (vae.make_vae, vae.ENCODER, lambda: [torch.randn(1, 3, FACE, FACE)]),
    "vae-decoder": (
        vae.make_vae,
        vae.DECODER,
        lambda: [torch.randn(1, 4, FACE // LATENT_STEP, FACE // LATENT_STEP)],
    ),
    "musetalk": (make_unet, WHOLE, lambda: examples(1, FACE // LATENT_STEP)),
    "codeformer-encoder": (CodeFormer, ENCODER, lambda: [torch.rand(1, 3, SIZE, SIZE)]),
    "codeformer-generator": (CodeFormer, PAINTER, lambda: [CODES, torch.randn(FEATURES)]),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=WORK, default=[*WORK], metavar="NAME")
    names = parser.parse_args(arguments).only
    print(machine())
    print("| graph | as converted | rewritten | ratio | differ from PyTorch by |")
    print("|---|---|---|---|---|")
    for name in names:
        print(_row(name), flush=True)


@torch.no_grad()
def _row(name: str) -> str:
    make, part, inputs = WORK[name]
    module = part.of(random_weights(make, HOW.device, HOW.dtype))
    given = list(inputs())
    runs = {how: _compiled(module, given, how) for how in ("as converted", "rewritten")}
    seconds = in_turns({how: partial(run, *given) for how, run in runs.items()})
    wanted = _first(module(*given))
    errors = [
        float((run(*given)[0] - wanted).abs().max() / wanted.abs().max()) for run in runs.values()
    ]
    before, after = seconds.values()
    differ = ", ".join(f"{error:.0e}" for error in errors)
    return f"| {name} | {before:.2f} s | {after:.2f} s | {before / after:.2f} | {differ} |"


def _compiled(module: nn.Module, given: list[Tensor], how: str) -> openvino.Graph:
    model = openvino.convert(module, given)
    if how == "rewritten":
        rewrite(model)
    return openvino.Graph(model, given, HOW, HOW.dtype)


def _first(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


if __name__ == "__main__":
    main()
