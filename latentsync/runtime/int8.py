"""Networks in 8-bit integers: weights and activations, scaled by examples from the user's videos.

By NNCF, the extra [int8]. How far the results are from those in float32 depends on the weights and
on the videos: it is measured with other examples than the scales were found with, and kept.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import ConfigError
from latentsync.runtime import cache
from latentsync.weights.record import file_sha256

VERSION = "1"
"""To be raised when this code makes another graph of the same network and examples."""
NOTE = "int8.json"
FILES = (*cache.FILES, NOTE)
"""What is kept of a graph."""
ROUNDS = 3  # timings of each graph
BEST = 99.0  # dB; of results that are equal

Run = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a graph in int8.

    examples: that the scales were found with. checked: other ones, whose results were compared with
    those in float32. psnr, worst: of them, dB, on average and of the worst. speedup: how many times
    as fast as without int8, where it was made. graph: SHA-256 of its numbers; empty: not saved yet.
    """

    examples: int
    checked: int
    psnr: float
    worst: float
    speedup: float
    graph: str = ""

    def __str__(self) -> str:
        checked = f"{self.checked} pictures that it was not made with"
        return f"{self.psnr:.1f} dB from float32 on {checked}, at worst {self.worst:.1f} dB"


def nncf() -> Any:
    """The package. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module("nncf")
    except ModuleNotFoundError as error:
        remedy = f"no module {error.name}: pip install '.[int8]'"
        raise ConfigError("int8 needs NNCF, which is not installed", "", remedy) from error


def quantized(model: Any, examples: Sequence[Sequence[np.ndarray]]) -> Any:
    """An openvino.Model of static shapes -> the same in int8 where that is faster.

    examples: inputs, each an array for each of the model's. Takes a minute, and the memory of some
    copies of the model. Raises ConfigError where NNCF is not installed.
    """
    package = nncf()
    logging.getLogger("nncf").setLevel(logging.ERROR)
    dataset = package.Dataset([list(one) for one in examples])
    return package.quantize(model, dataset, subset_size=len(examples))


def compare(
    reference: Run, usual: Run, fast: Run, checked: Sequence[Tensor], *, examples: int
) -> Note:
    """reference: the network in float32. usual: as it would run without int8. fast: in int8; all
    return pictures [-1, 1]. checked: at least one input. Raises ConfigError where the graph in int8
    returns NaN or infinity."""
    errors = [_psnr(reference(one)[0], fast(one)[0]) for one in checked]
    seconds: dict[Run, list[float]] = {usual: [], fast: []}
    for _ in range(ROUNDS):
        for run, taken in seconds.items():
            begin = time.perf_counter()
            run(checked[0])
            taken.append(time.perf_counter() - begin)
    speedup = median(seconds[usual]) / median(seconds[fast])
    return Note(examples, len(checked), sum(errors) / len(errors), min(errors), speedup)


def _psnr(wanted: Tensor, found: Tensor) -> float:
    """Of pictures [-1, 1], dB."""
    error = float(torch.mean((wanted.clamp(-1, 1) - found.clamp(-1, 1)) ** 2))
    if not math.isfinite(error):
        raise ConfigError("NaN or infinity in int8", "", "use fp32, or name other videos")
    return BEST if error == 0 else min(BEST, 10 * math.log10(4 / error))


def write_note(note: Note, model: Path) -> None:
    """Beside the files of the graph, which are there."""
    note = replace(note, graph=file_sha256(model.with_suffix(".bin")))
    model.with_name(NOTE).write_text(json.dumps(asdict(note)), "utf-8")


def read_note(model: Path) -> Note:
    """Of a graph that the cache has found whole."""
    return Note(**json.loads(model.with_name(NOTE).read_text("utf-8")))
