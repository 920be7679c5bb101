"""What training takes: memory and time of LatentSync's stages, counted, and on a GPU measured.

python -m benchmarks.training              a table by arithmetic; takes a minute of a CPU
python -m benchmarks.training --measure    also a few steps on the GPU here, random weights
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.table import markdown
from benchmarks.training_cost import GB, STAGES, TERA, Counted, Stage, count, make_step
from latentsync.generate.model_spec import TOKENS
from latentsync.training.batch import UNetBatch
from latentsync.training.loop.dry_run import dry_run
from latentsync.training.loop.settings import LoopSettings
from latentsync.training.loop.trainer import Trainer

GPUS = {"A100": 312 * TERA, "H100": 989 * TERA}
"""Dense bf16 multiplications and additions a second, as the maker states."""
REACHED = 0.35
"""Share of that which convolutions and attention of these sizes reach; a guess until measured."""
HEAD = (
    *("stage", "pixels", "trained", "weights", "gradients, Adam", "frozen", "activations", "sum"),
    *("TFLOP", *(f"{name}, s" for name in GPUS)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="run steps on the GPU here")
    options = parser.parse_args(arguments)
    rows = []
    for stage in STAGES:
        print(f"{stage.name}, {stage.side} ...", file=sys.stderr, flush=True)
        rows.append(_cells(stage, count(stage)))
        print(", ".join(rows[-1]), file=sys.stderr, flush=True)
    print("One clip of 16 frames on one GPU, bf16, gradient checkpointing; GB.")
    print(markdown([HEAD, *rows]))
    if options.measure:
        if not torch.cuda.is_available():
            print("there is no GPU to measure on", file=sys.stderr)
            return 2
        for stage in STAGES:
            print(_measured(stage))
    return 0


def _cells(stage: Stage, found: Counted) -> tuple[str, ...]:
    sizes = (found.weights_bytes, found.optimizer_bytes, found.frozen_bytes, found.activations)
    return (
        stage.name,
        str(stage.side),
        f"{found.trained / 1e6:.0f} M",
        *(f"{size / GB:.1f}" for size in sizes),
        f"{found.total_bytes / GB:.0f}",
        f"{found.flops / TERA:.0f}",
        *(f"{found.seconds(peak, REACHED):.2f}" for peak in GPUS.values()),
    )


class _Clips:
    """Noise in place of clips."""

    def __init__(self, side: int) -> None:
        self._side = side

    def __len__(self) -> int:
        return 8

    def set_epoch(self, epoch: int) -> None:
        """All are the same."""

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, items: Sequence[Any]) -> UNetBatch:
        faces = torch.rand(len(items), 16, 3, self._side, self._side) * 2 - 1
        audio = torch.randn(len(items), 16, TOKENS[384], 384)
        mel = torch.randn(len(items), 1, 80, 52)
        return UNetBatch(faces, faces, audio, mel, torch.tensor(items), ("noise",) * len(items))


def _measured(stage: Stage) -> str:
    """Steps of the real loop. Networks have initial weights: they take as long."""
    clips = _Clips(stage.side)
    task = make_step(stage, "cpu")
    settings = LoopSettings(steps=100, batch_size=1, save_every=0)
    trainer = Trainer(task, clips, clips.collate, settings, Path())
    cost = dry_run(trainer, len(clips))
    name = torch.cuda.get_device_name()
    del trainer
    torch.cuda.empty_cache()
    seconds, memory = cost.seconds_per_step, cost.memory_bytes / GB
    return f"{name}, {stage.name}, {stage.side}: {seconds:.2f} s a step, {memory:.1f} GB"


if __name__ == "__main__":
    sys.exit(main())
