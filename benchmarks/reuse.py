"""How much inference restore.reuse skips, and how far the result differs, by threshold.

python -m benchmarks.reuse CLIP [--frames 250] [--superres NAME] [key=value ...]

skipped: share of the mouths that did not go through the restorer. PSNR: of the composited frames,
in the box around the mouth, against the same restorer without reuse; median and worst of the
skipped frames. The line above the table has the PSNR if nothing is restored. flicker: mean change
of the added detail from frame to frame, relative to that without reuse. By default a plain
sharpening filter in the networks' 512 px square replaces the network: its detail follows every
shift of the mouth, so the figures are not flattering.

Measured on 60 frames each (45.6 dB, 41.3 dB if nothing is restored). `shown twice` is a video of
20 fps, converted to 30 fps and encoded again; `speaking` is 1080x1920 at 25 fps, without a pause.
  reuse  shown twice: skipped, PSNR, worst, flicker   speaking: the same
      2          22 %   59.3   56.8   96 %               0 %     -      -   100 %
      4          32 %   58.6   54.8   93 %               0 %     -      -   100 %
      8          37 %   58.0   47.9   92 %               2 %   46.6   46.6  100 %
     12          42 %   57.0   46.3   93 %               7 %   45.9   45.5   99 %
     16          55 %   48.0   45.5   84 %              20 %   44.2   42.5   99 %
At 4 the repeated frames, a third, are skipped, and only rounding differs. From 12 on quality drops:
a residual that no longer fits is hardly better than none.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from benchmarks.ready import ready_engine
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.composite import composite
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.fitting import Restorers
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import Clip
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.restore import RestoreStage
from latentsync.restoration.patch import PatchWindow
from latentsync.runtime.execution import Execution
from latentsync.settings.load import load_config
from latentsync.settings.schema import RestoreConfig
from latentsync.types import Frame, PatchedFrame

THRESHOLDS = (2, 4, 8, 12, 16)
STAND_IN = "benchmarks.reuse:load"


class Sharpening:
    """A restorer in the networks' 512 px square without a network: amplifies fine detail by 2.5."""

    name = "sharpening"
    size: int | None = 512

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        blurred = functional.avg_pool2d(faces, 7, stride=1, padding=3, count_include_pad=False)
        return (faces + 1.5 * (faces - blurred)).clamp(-1, 1)


def load(_config: RestoreConfig, _execution: Execution) -> Sharpening:
    return Sharpening()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--superres", default=STAND_IN)
    parser.add_argument("settings", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args(arguments)
    settings = (f"restore.name={args.superres}", "restore.when=always", *args.settings)
    engine = ready_engine(load_config(None, settings))
    reader = VideoReader(args.clip)
    frames = list(islice(reader, args.frames))
    with Session(engine, Clip(reader.info, frames)) as session:
        plan = session.plan
    whole, _ = restored(engine, plan, frames, 0)
    nothing = np.median([psnr(added, np.zeros_like(added)) for added in whole.values()])
    print(f"{args.clip.name}, {len(frames)} frames; nothing restored: {nothing:.1f} dB")
    print("reuse skipped  PSNR [dB]  worst  flicker")
    for threshold in THRESHOLDS:
        added, skipped = restored(engine, plan, frames, threshold)
        psnrs = [psnr(whole[i], added[i]) for i in skipped] or [np.inf]
        share, less = len(skipped) / len(whole), flicker(added) / flicker(whole)
        figures = f"{np.median(psnrs):10.1f} {min(psnrs):6.1f}"
        print(f"{threshold:5} {share:7.0%} {figures} {less:8.0%}", flush=True)


def restored(
    engine: Engine, plan: RenderPlan, frames: Sequence[Frame], threshold: float
) -> tuple[dict[int, np.ndarray], list[int]]:
    """Returns the change in each frame's mouth box [code values], and the skipped frames."""
    config = replace(engine.config.restore, reuse=float(threshold), batch=1)
    assert engine.restorer is not None
    restorers, size = Restorers(engine.restorer), engine.restorer.size
    restorers.tune(plan.tracks, plan)
    # The stage alone, in this thread, so that it is known which frame was skipped.
    stage = RestoreStage(restorers, plan, config, engine.execution.device, size=size)
    added: dict[int, np.ndarray] = {}
    skipped: list[int] = []
    box = mouth_box(plan)
    for item in stage((PatchedFrame(f.index, f) for f in frames), timer=StageTimer()):
        if not item.patches:
            continue
        before, after = item.frame.pixels[box], composite(item.frame, item.patches)[box]
        added[item.index] = after.astype(np.int16) - before
        if stage.reused > len(skipped):
            skipped.append(item.index)
    return added, skipped


def mouth_box(plan: RenderPlan) -> tuple[slice, slice]:
    """Rows and columns of the frame that hold the mouths of all frames."""
    corners = []
    for track, matrix in zip(plan.track, plan.matrices, strict=True):
        if track >= 0:
            geometry = plan.tracks[int(track)].geometry
            shown = PatchWindow.of(geometry.mask, highpass_sigma=0).shown
            back = cv2.invertAffineTransform(geometry.matrix(matrix))
            ends = [[x, y, 1] for x in (shown.x0, shown.x1) for y in (shown.y0, shown.y1)]
            corners.append(np.array(ends) @ back.T)
    points = np.concatenate(corners)
    low, high = np.maximum(points.min(axis=0), 0).astype(int), points.max(axis=0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def psnr(true: np.ndarray, other: np.ndarray) -> float:
    error = np.square(true.astype(np.float32) - other).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def flicker(added: dict[int, np.ndarray]) -> float:
    """Mean change [code values] of the added detail between neighbouring frames."""
    steps = [np.abs(added[i] - added[i - 1]).mean() for i in added if i - 1 in added]
    return float(np.mean(steps))


if __name__ == "__main__":
    with quiet_libraries():
        main()
