"""GFPGAN and CodeFormer at full size, with generated weights, against PyTorch in float32.

With the generated weights CodeFormer's codebook logits are nearly tied, unlike with trained ones:
the share of entries that differ in another dtype is an upper bound.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.floor import work_of
from benchmarks.measure import execution, in_turns, peak_megabytes
from benchmarks.table import Row
from CodeFormer import network, parts
from CodeFormer.network import CodeFormer
from CodeFormer.parts import CodeFormerInParts
from GFPGAN.network import GFPGANv1Clean, InWindow
from GFPGAN.restorer import DEFAULT_FIDELITY, USUAL, GFPGANRestorer
from GFPGAN.window import WHOLE
from latentsync.restoration.base import load_restorer
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.network import Networks
from latentsync.settings.schema import RestoreConfig
from latentsync.types import Box
from latentsync.weights.load import build
from latentsync.weights.manifest import CODEFORMER, GFPGAN
from tests.parity.rule import face, published_shapes, weights

W = 0.8  # CodeFormer's fidelity
FACES = [f"benchmark.face{number}" for number in range(4)]
REGION = "mouth"
PRECISIONS = ("auto", "fp32")
BASELINE = "torch fp32"


def checkpoint(folder: Path, name: str) -> Path:
    """The weights file, generated if it does not exist."""
    path = folder / f"{name}.pth"
    if not path.is_file():
        torch.save({"params_ema": weights(published_shapes(name))}, path)
    return path


def ready(name: str, folder: Path) -> None:
    """Converts the networks."""
    if name == "codeformer":
        _in_parts(checkpoint(folder, name), execution())
    else:
        for precision in PRECISIONS:
            _gfpgan(checkpoint(folder, "gfpgan_v14"), precision).within(WHOLE)


def measured(name: str, folder: Path) -> list[Row]:
    return codeformer(folder) if name == "codeformer" else gfpgan(folder)


def gfpgan(folder: Path) -> list[Row]:
    """The window around the mouth, as the command restores it, and the whole square."""
    path, one = checkpoint(folder, "gfpgan_v14"), face(FACES[0])
    fast = _gfpgan(path, PRECISIONS[0])
    window = fast.within(USUAL[REGION])
    window(one)
    peak = peak_megabytes()
    whole, exact = fast.within(WHOLE), _gfpgan(path, PRECISIONS[1])
    exact_window, exact_whole = exact.within(USUAL[REGION]), exact.within(WHOLE)
    reference = build(GFPGANv1Clean, GFPGAN, path, REFERENCE.device)
    seconds = in_turns(
        {
            BASELINE: lambda: reference(one),
            "mouth": lambda: window(one),
            "whole": lambda: whole(one),
            "exact": lambda: exact_window(one),
            "exact whole": lambda: exact_whole(one),
        }
    )
    with torch.no_grad():
        plain = torch.lerp(reference(one).clamp(-1, 1), one, DEFAULT_FIDELITY)
    flops = work_of(GFPGANv1Clean, (1, 3, 512, 512))
    less = work_of(partial(_windowed, USUAL[REGION]), (1, 3, 512, 512))

    def row(work: str, name: str, note: str, peak: float = 0.0) -> Row:
        whole = f"{BASELINE}, whole square"
        return Row(work, seconds[name], seconds[BASELINE], whole, peak, note)

    return [
        row("GFPGAN, window around the mouth", "mouth", f"{execution()}; {less:.0f} GFLOP", peak),
        row("  whole square", "whole", f"{flops:.0f} GFLOP; {_code_values(whole(one), plain)}"),
        row("  fp32, window around the mouth", "exact", ""),
        row("  fp32, whole square", "exact whole", _code_values(exact_whole(one), plain)),
    ]


def _gfpgan(path: Path, precision: str) -> GFPGANRestorer:
    config = RestoreConfig(name="GFPGAN", checkpoint=str(path), region=REGION)
    restorer = load_restorer(config, execution(precision=precision))
    assert isinstance(restorer, GFPGANRestorer)
    return restorer


def _windowed(box: Box) -> InWindow:
    return InWindow(GFPGANv1Clean(), box)


def codeformer(folder: Path) -> list[Row]:
    path, one = checkpoint(folder, "codeformer"), face(FACES[0])
    fast = _in_parts(path, execution())
    fast(one)
    peak = peak_megabytes()
    exact = _in_parts(path, execution(precision="fp32"))
    reference = _in_parts(path, REFERENCE)
    work = {BASELINE: reference, "fast": fast, "exact": exact}
    seconds = in_turns({name: partial(run, one) for name, run in work.items()})
    codes = {name: torch.cat([run.codes(face(f)) for f in FACES]) for name, run in work.items()}
    flipped = {name: float((codes[name] != codes[BASELINE]).float().mean()) for name in work}
    base, chosen = seconds[BASELINE], execution()
    flops = work_of(CodeFormer, (1, 3, 512, 512))
    note = f"{chosen}; {flops:.0f} GFLOP; {flipped['fast']:.1%} of codes differ"
    return [
        Row("CodeFormer, a face", seconds["fast"], base, BASELINE, peak, note),
        Row("  in fp32", seconds["exact"], base, BASELINE, 0, f"{flipped['exact']:.1%} differ"),
    ]


def _in_parts(path: Path, how: Execution) -> CodeFormerInParts:
    networks = Networks(
        lambda dtype: build(CodeFormer, CODEFORMER, path, how.device, dtype=dtype),
        name="CodeFormer",
        checkpoint=path,
        execution=how,
        sources=[network, parts],
    )
    return CodeFormerInParts(networks, w=W)


def _code_values(a: Tensor, b: Tensor) -> str:
    difference = (a - b).abs() * 127.5
    return f"differs by {difference.mean():.2g} code values, at most {difference.max():.2g}"
