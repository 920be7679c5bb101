"""Time of the product's own networks on a GPU, called as the stages call them.

    python -m benchmarks.gpu_product [--size 512 256] [--only latentsync musetalk gfpgan ...]
                                     [--backend torch|compile] [--vae-batch 4] [--json FILE]
    python -m benchmarks.gpu_product --device cpu --small     # everything runs, anywhere

Where benchmarks.gpu measures what a GPU can do, this measures what the command does with it: chunks
and faces come from the CPU and go back there, the scheduler is diffusers', and one thread waits for
each result. Random weights, which run as fast as the published ones.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_measure import peak_gigabytes, start_of_peak
from benchmarks.random_networks import networks
from CodeFormer.network import CodeFormer
from CodeFormer.restorer import CodeFormerRestorer
from GFPGAN.network import GFPGANv1Clean
from GFPGAN.restorer import USUAL, GFPGANRestorer
from latentsync.generate.diffusion.generator import LatentSync
from latentsync.generate.diffusion.unet_runner import UNetInParts
from latentsync.generate.model_spec import LATENT_STEP, FaceModel
from latentsync.generate.musetalk.generator import MuseTalk
from latentsync.generate.musetalk.network import STRUCTURE, UNetInOneStep, make_unet
from latentsync.generate.vae import STANDARD, VAEInParts, make_vae
from latentsync.models.unet import WIDTHS, UNet3DConditionModel
from latentsync.pipeline.lipsync import WHOLE
from latentsync.runtime.execution import Execution, configure_execution
from latentsync.runtime.memory import to_host
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import GenerateConfig, RuntimeConfig
from latentsync.speech.encoder import tiny
from latentsync.types import Chunk

FRAMES, AUDIO, TOKENS = 16, 384, 50
SMALL, SMALL_WIDTHS = 64, (32, 64, 64, 64)  # pixels, channels
BATCHES = (1, 4, 16)  # faces restored at once
KINDS = ("latentsync", "musetalk", "gfpgan", "codeformer", "whisper")


def vae(own: argparse.Namespace, how: Execution, size: int) -> VAEInParts:
    widths = {"block_out_channels": list(SMALL_WIDTHS)} if own.small else {}
    made = VAEInParts(networks(lambda: make_vae(STANDARD | widths), how))
    made.prepare(size, own.vae_batch)
    return made


def chunk_of(index: int, size: int) -> Chunk:
    generator = torch.Generator().manual_seed(index)
    crops = torch.rand(FRAMES, 3, size, size, generator=generator) * 2 - 1
    audio = torch.randn(FRAMES, TOKENS, AUDIO, generator=generator)
    return Chunk(index, crops, audio, np.arange(FRAMES) + index * FRAMES)


def latentsync(own: argparse.Namespace, how: Execution) -> list[dict[str, Any]]:
    rows = []
    widths = SMALL_WIDTHS if own.small else WIDTHS
    unets = networks(lambda: UNet3DConditionModel(block_out_channels=widths), how)
    for size in [SMALL] if own.small else own.size:
        unet = UNetInParts(unets, width=widths[0], audio=AUDIO)
        faces = vae(own, how, size)
        model, mask = FaceModel(size, FRAMES, AUDIO), np.ones((size, size), np.float32)
        for preset in own.presets:
            named = {
                key.split(".")[1]: value
                for key, value in PRESETS[preset].items()
                if key.startswith("generate.")
            }
            settings = replace(GenerateConfig(), vae_batch=own.vae_batch, **named)  # type: ignore[arg-type]
            unet.prepare(model, guided=settings.guidance > 1)
            generator = LatentSync(
                unet,
                faces,
                settings=settings,
                model=model,
                execution=how,
                mask=mask,
                seed=1,
                checkpoint=Path(__file__),
            )
            what = f"LatentSync, {size} px, preset {preset}"
            rows.append(timed(what, generator, chunk_of, size, own, how))
    return rows


def musetalk(own: argparse.Namespace, how: Execution) -> list[dict[str, Any]]:
    size = 256
    narrow = {"block_out_channels": list(SMALL_WIDTHS)} if own.small else {}
    unet = UNetInOneStep(networks(lambda: make_unet(STRUCTURE | narrow), how))
    unet.prepare(size // LATENT_STEP, MuseTalk.chunk_frames)
    settings = replace(GenerateConfig(), vae_batch=own.vae_batch)
    generator = MuseTalk(
        unet,
        vae(own, how, size),
        settings=settings,
        execution=how,
        checkpoint=Path(__file__),
    )
    return [timed("MuseTalk, 256 px", generator, chunk_of, size, own, how)]


def timed(
    what: str,
    generator: Callable[[Chunk], Tensor],
    chunk: Callable[[int, int], Chunk],
    size: int,
    own: argparse.Namespace,
    how: Execution,
) -> dict[str, Any]:
    """Chunk after chunk, as one thread generates them."""
    chunks = [chunk(index, size) for index in range(own.repeat + 1)]
    start_of_peak(how.device)
    begin = time.perf_counter()
    generator(chunks[0])
    first, seconds = time.perf_counter() - begin, []
    for one in chunks[1:]:
        begin = time.perf_counter()
        generator(one)
        seconds.append(time.perf_counter() - begin)
    return row(what, median(seconds) / FRAMES, first, how)


def gfpgan(own: argparse.Namespace, how: Execution) -> list[dict[str, Any]]:
    made = GFPGANRestorer(networks(GFPGANv1Clean, how), fidelity=0.2)
    return faces_restored("GFPGAN, mouth", made.within(USUAL["mouth"]), own, how)


def codeformer(own: argparse.Namespace, how: Execution) -> list[dict[str, Any]]:
    made = CodeFormerRestorer(networks(CodeFormer, how), fidelity=0.8)
    return faces_restored("CodeFormer", made, own, how)


def faces_restored(
    name: str, restorer: Callable[[Tensor], Tensor], own: argparse.Namespace, how: Execution
) -> list[dict[str, Any]]:
    """As pipeline.stages.restore moves them: to the device and back."""
    rows = []
    for batch in BATCHES[:1] if own.small else BATCHES:
        faces = torch.rand(batch, 3, 512, 512) * 2 - 1
        start_of_peak(how.device)
        seconds = []
        for _ in range(own.repeat + 1):
            begin = time.perf_counter()
            to_host(restorer(faces.to(how.device)))
            seconds.append(time.perf_counter() - begin)
        rows.append(row(f"{name}, {batch} at once", median(seconds[1:]) / batch, seconds[0], how))
    return rows


def whisper(own: argparse.Namespace, how: Execution) -> list[dict[str, Any]]:
    mel = torch.randn(1, 80, 3000)
    start_of_peak(how.device)
    run = networks(tiny, how).part(WHOLE, mel)
    seconds = []
    for _ in range(own.repeat + 1):
        begin = time.perf_counter()
        run(mel)[0].cpu()
        seconds.append(time.perf_counter() - begin)
    return [row("Whisper tiny, 30 s of speech", median(seconds[1:]), seconds[0], how)]


def row(what: str, each: float, first: float, how: Execution) -> dict[str, Any]:
    """each: seconds of a frame or a face. first: of the first call, with all preparation."""
    peak = peak_gigabytes(how.device)
    print(
        f"{what:<40}{1e3 * each:10.2f} ms {1 / each:9.1f} a second, first call {first:.2f} s, "
        f"{peak:.1f} GB",
        flush=True,
    )
    return {"work": what, "seconds": each, "first": first, "peak_gigabytes": peak}


def run(own: argparse.Namespace) -> dict[str, Any]:
    how = configure_execution(RuntimeConfig(own.device, own.backend, own.precision))
    print(how, flush=True)
    made = {
        "latentsync": latentsync,
        "musetalk": musetalk,
        "gfpgan": gfpgan,
        "codeformer": codeformer,
        "whisper": whisper,
    }
    figures: dict[str, Any] = {"execution": str(how), "vae_batch": own.vae_batch, "rows": []}
    for name in own.only:
        figures["rows"] += made[name](own, how)
        if own.json:
            own.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return figures


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--backend", default="torch", choices=("torch", "compile"))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--size", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--presets", nargs="+", default=["fast", "balanced", "quality"])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--vae-batch", type=int, default=GenerateConfig().vae_batch)
    parser.add_argument("--repeat", type=int, default=3, help="after one that is not counted")
    parser.add_argument("--small", action="store_true", help="narrow networks at 64 pixels")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run(options())
