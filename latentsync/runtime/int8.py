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
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import ConfigError
from latentsync.runtime import cache

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
    as fast as without int8, where it was made.
    """

    examples: int
    checked: int
    psnr: float
    worst: float
    speedup: float

    def __str__(self) -> str:
        checked = f"{self.checked} pictures that it was not made with"
        return f"{self.psnr:.1f} dB from float32 on {checked}, at worst {self.worst:.1f} dB"


def quantized(model: Any, examples: Sequence[Sequence[np.ndarray]]) -> Any:
    """An openvino.Model of static shapes -> the same in int8 where that is faster.

    examples: inputs, each an array for each of the model's. Takes a minute, and the memory of some
    copies of the model. Raises ConfigError where NNCF is not installed.
    """
    try:
        nncf = importlib.import_module("nncf")
    except ModuleNotFoundError as error:
        remedy = f"no module {error.name}: pip install '.[int8]'"
        raise ConfigError(
            "int8 graphs are made by NNCF, which is not installed", "", remedy
        ) from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    dataset = nncf.Dataset([list(one) for one in examples])
    return nncf.quantize(model, dataset, subset_size=len(examples))


def compare(
    reference: Run, usual: Run, fast: Run, checked: Sequence[Tensor], *, examples: int
) -> Note:
    """reference: the network in float32. usual: as it would run without int8. fast: in int8; all
    return pictures [-1, 1]. checked: at least one input."""
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
    return min(BEST, 10 * math.log10(4 / error)) if error > 0 else BEST


def write_note(note: Note, model: Path) -> None:
    """Beside the file of the graph."""
    model.with_name(NOTE).write_text(json.dumps(asdict(note)), "utf-8")


def read_note(model: Path) -> Note:
    """Of a graph that the cache has found whole."""
    return Note(**json.loads(model.with_name(NOTE).read_text("utf-8")))
