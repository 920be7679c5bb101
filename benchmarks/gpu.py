"""Time of lip-sync and restoration on a GPU, stage by stage, and the speed for a whole video.

    python -m benchmarks.gpu [--size 512] [--steps 20 8] [--cache 0 3] [--modes ...] [--json FILE]
    python -m benchmarks.gpu --device cpu --small --faces 0     # everything runs, anywhere

Needs only PyTorch, einops and NumPy, and no weights: random ones run as fast. The speed for a video
is that of the GPU including its transfers, which overlap with the computation; decoding, alignment,
compositing and encoding run on the CPU at the same time and are not included. Modes: see
gpu_stages.MODES. The figures are what the GPU can do with PyTorch's own kernels; what the command
does with it is measured by benchmarks.gpu_product.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_measure import (
    matrix_rate,
    median_seconds,
    operations,
    peak_gigabytes,
    stages,
    start_of_peak,
    vae_batch,
    video_floor,
    video_speed,
)
from benchmarks.gpu_stages import MODES, Chain, Models, Setting, check_mode, make_models
from latentsync.errors import ConfigError, LatentSyncError

AIM = "frames per second (aim: 25)"  # at 512 pixels on an H200
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GUIDANCE = {"off": False, "on": True}
SMALL = 64  # pixels, with --small


def run(own: argparse.Namespace) -> dict[str, Any]:
    """Prints while measuring; returns the figures. Raises ConfigError: not available here."""
    device = device_of(own.device)
    for mode in own.modes:
        check_mode(mode, device)
    setting = Setting(
        device,
        DTYPES[own.precision or ("bf16" if device.type == "cuda" else "fp32")],
        SMALL if own.small else own.size,
        frames=own.frames,
        faces=min(own.faces, own.frames),
        small=own.small,
    )
    torch.backends.cudnn.benchmark = True  # shapes are fixed: find the fastest kernels
    modes: dict[str, Any] = {}
    rate = matrix_rate(device, setting.dtype)
    figures = about(setting) | {"matrix_product_flop_per_second": rate, "modes": modes}
    print(", ".join(f"{key} {value}" for key, value in about(setting).items()))
    print(f"a large matrix product: {rate / 1e12:.3g} TFLOP/s", flush=True)
    models = make_models(setting)
    work = counted(models, setting, own.guidance)
    for mode in own.modes:
        modes[mode] = measured(mode, models, setting, own, work=work, rate=rate)
        print(block(mode, modes[mode], rate), flush=True)
        if own.json:  # after every mode, so that an interrupted run leaves its figures
            own.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print(video_table(modes))
    return figures


def about(setting: Setting) -> dict[str, Any]:
    device = setting.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} ({name})",
        "torch": torch.__version__,
        "format": str(setting.dtype).removeprefix("torch."),
        "size": setting.size,
        "frames": setting.frames,
        "faces": setting.faces,
        "small": setting.small,
    }


def counted(models: Models, setting: Setting, guidance: Sequence[bool]) -> dict[str, float]:
    """Operations by stage: the same in every mode, but only countable in eager mode."""
    chain = Chain(models, setting, mode="eager", batch=vae_batch(models, setting))
    return {name: operations(act) for name, act in stages(chain, guidance)}


def measured(
    mode: str,
    models: Models,
    setting: Setting,
    own: argparse.Namespace,
    *,
    work: dict[str, float],
    rate: float,
) -> dict[str, Any]:
    """work: operations by stage. rate: of a large matrix product [operations per second]."""
    start_of_peak(setting.device)
    start = time.perf_counter()
    chain = Chain(models, setting, mode=mode, batch=vae_batch(models, setting))
    acts = dict(stages(chain, own.guidance))
    prepared = time.perf_counter() - start
    seconds = {n: median_seconds(act, setting.device, own.repeat) for n, act in acts.items()}
    return {
        "prepared_seconds": prepared,
        "vae_batch": chain.batch,
        "stages": {n: {"seconds": s, "flop": work[n]} for n, s in seconds.items()},
        "videos": video_rows(chain, own, work=work, rate=rate),
        "peak_gigabytes": peak_gigabytes(setting.device),
    }


def video_rows(
    chain: Chain, own: argparse.Namespace, *, work: dict[str, float], rate: float
) -> list[dict[str, Any]]:
    rows = []
    for steps, cache, guided in product(own.steps, own.cache, own.guidance):
        how: dict[str, Any] = {"steps": steps, "interval": max(cache, 1), "guided": guided}
        fps = video_speed(chain, chunks=own.chunks, **how)
        floor = video_floor(work, chain.setting, rate=rate, **how)
        rows.append({"steps": steps, "cache": cache, "guided": guided, "fps": fps, "floor": floor})
    return rows


def block(mode: str, result: dict[str, Any], rate: float) -> str:
    """The stages of a mode. rate: of a large matrix product [operations per second]."""
    lines = [
        f"\n{mode}: ready in {result['prepared_seconds']:.1f} s, VAE {result['vae_batch']} frames "
        f"at once, peak memory {result['peak_gigabytes']:.1f} GB"
    ]
    for name, stage in result["stages"].items():
        line = f"  {name:<28}{1e3 * stage['seconds']:10.2f} ms"
        if stage["flop"]:
            share = stage["flop"] / stage["seconds"] / rate
            line += f"{stage['flop'] / 1e12:10.3f} TFLOP{share:6.0%} of the matrix product's rate"
        lines.append(line)
    return "\n".join(lines)


def video_table(modes: dict[str, Any]) -> str:
    """Last column: upper bound if all arithmetic ran at the rate of the matrix product."""
    lines = ["\n" + _columns(AIM, *modes, "arithmetic")]
    for rows in zip(*(result["videos"] for result in modes.values()), strict=True):
        video = rows[0]
        cache = f", cache {video['cache']}" if video["cache"] > 1 else ""
        name = f"  {video['steps']} steps{cache}{', guided' if video['guided'] else ''}"
        figures = [row["fps"] for row in rows] + [video["floor"]]
        lines.append(_columns(name, *(f"{fps:.2f}" for fps in figures)))
    return "\n".join(lines)


def _columns(name: str, *values: str) -> str:
    return f"{name:<34}" + "".join(f"{value:>15}" for value in values)


def device_of(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        remedy = "use --device cpu --small --faces 0 to check that everything runs"
        raise ConfigError("no CUDA device in this machine", f"--device {name}", remedy)
    return torch.device(name)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", type=int, choices=(256, 512), default=512)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 8])
    parser.add_argument(
        "--cache", type=int, nargs="+", default=[0, 3], help="DeepCache intervals; 0: none"
    )
    parser.add_argument("--guidance", nargs="+", choices=GUIDANCE, default=list(GUIDANCE))
    parser.add_argument("--precision", choices=DTYPES, help="default: bf16 on CUDA, otherwise fp32")
    parser.add_argument(
        "--modes", nargs="+", choices=MODES, help="default: all; on a CPU all but compile"
    )
    parser.add_argument("--frames", type=int, default=16, help="frames in a chunk; at most 24")
    parser.add_argument(
        "--faces", type=int, default=16, help="faces of a chunk restored in one batch"
    )
    parser.add_argument("--chunks", type=int, default=3, help="chunks of the timed video")
    parser.add_argument(
        "--repeat", type=int, default=5, help="runs of each stage; the median counts"
    )
    parser.add_argument("--small", action="store_true", help="a narrow LatentSync at 64 pixels")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    own = parser.parse_args(arguments)
    own.guidance = [GUIDANCE[word] for word in own.guidance]
    own.modes = own.modes or list(MODES if own.device == "cuda" else MODES[:-1])
    return own


def main() -> None:
    try:
        run(options())
    except LatentSyncError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
