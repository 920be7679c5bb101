"""Whisper, LatentSync's VAE and its U-Net, with random weights, against PyTorch in fp32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import execution, in_turns, peak_megabytes
from benchmarks.table import Row
from latentsync.generate.diffusion.unet_runner import deep_layers, last_layer
from latentsync.generate.vae import DECODER, ENCODER, make_vae
from latentsync.models.unet import UNet3DConditionModel
from latentsync.pipeline.lipsync import WHOLE
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.network import Networks, Part, Runner
from latentsync.speech.encoder import tiny

BASELINE = "torch fp32"
SIDE = 256  # pixels
FRAMES = 16
HALF = (160, 320, 640, 640)
"""A U-Net of half width: a quarter of the work, the memory and the conversion time."""


@dataclass(frozen=True, eq=False)
class Task:
    """A part of a network. shapes: of its inputs. precision: runtime.precision."""

    work: str
    make: Callable[[], Any]
    part: Part
    shapes: tuple[tuple[int, ...], ...]
    precision: str = "auto"

    def inputs(self) -> list[Tensor]:
        return [torch.randn(shape) for shape in self.shapes]


def half_unet() -> UNet3DConditionModel:
    return UNet3DConditionModel(block_out_channels=HALF)


_SAMPLE, _WAVES = (1, 13, FRAMES, SIDE // 8, SIDE // 8), (1, HALF[0])
_DEEP, _AUDIO = (FRAMES, HALF[0], SIDE // 8, SIDE // 8), (FRAMES, 50, 384)
_HALF = f"U-Net of half width, {FRAMES} frames of {SIDE} px"
TASKS = {
    "whisper": [Task("Whisper tiny, 30 s of speech", tiny, WHOLE, ((1, 80, 3000),), "fp32")],
    "vae": [
        Task(f"VAE encode, a {SIDE} px frame", make_vae, ENCODER, ((1, 3, SIDE, SIDE),)),
        Task(f"VAE decode, a {SIDE} px frame", make_vae, DECODER, ((1, 4, SIDE // 8, SIDE // 8),)),
    ],
    "unet": [
        Task(
            f"{_HALF}, deep layers",
            half_unet,
            Part("deep layers", deep_layers),
            (_SAMPLE, _WAVES, _AUDIO),
        ),
        Task(
            f"{_HALF}, last layer",
            half_unet,
            Part("last layer", last_layer),
            (_SAMPLE, _DEEP, _WAVES, _AUDIO),
        ),
    ],
}


def ready(name: str, folder: Path) -> None:
    """Converts the networks."""
    for task in TASKS[name]:
        _runner(folder, task, execution(precision=task.precision))


def measured(name: str, folder: Path) -> list[Row]:
    first, *others = TASKS[name]
    return [_row(folder, first), *(replace(_row(folder, task), peak=0) for task in others)]


def _row(folder: Path, task: Task) -> Row:
    """Its peak memory is that of ours alone if no baseline ran in the process before."""
    how, inputs = execution(precision=task.precision), task.inputs()
    ours = _runner(folder, task, how)
    ours(*inputs)
    peak = peak_megabytes()
    reference = _runner(folder, task, REFERENCE)
    seconds = in_turns({BASELINE: lambda: reference(*inputs), "ours": lambda: ours(*inputs)})
    return Row(task.work, seconds["ours"], seconds[BASELINE], BASELINE, peak, str(how))


def _runner(folder: Path, task: Task, how: Execution) -> Runner:
    def build(dtype: torch.dtype) -> nn.Module:
        torch.manual_seed(0)
        network: nn.Module = task.make()
        network = nn.Module.to(
            network, how.device, dtype
        )  # diffusers' own method prints warnings that do not matter here
        return network.eval().requires_grad_(False)

    seed = folder / "seed"  # in place of a weights file, by which the cache distinguishes networks
    seed.write_text("0")
    networks = Networks(build, name=task.make.__name__, checkpoint=seed, execution=how)
    return networks.part(task.part, *task.inputs())
