"""Time of a frame of MuseTalk at full size, against LatentSync's preset `fast` at 256 pixels.

    python -m benchmarks.musetalk [--precision fp32 bf16] [--backend openvino|torch] [--rounds 2]

The weights are random: they run as fast as the published ones and need no download. OpenVINO first
converts the networks; if LATENTSYNC_CACHE is set, the converted graphs are kept there. LatentSync's
time is that of its `--dry-run`, from a smaller network of the same layers. All take turns, so that
a busy machine slows all alike; the cores' own seconds, beside, depend less on how busy it is.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.random_networks import networks
from latentsync.generate.diffusion.timing import trials
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.generate.musetalk import network
from latentsync.generate.musetalk.network import UNetInOneStep, examples, make_unet
from latentsync.generate.vae import VAEInParts, make_vae
from latentsync.runtime.execution import Execution, configure_execution
from latentsync.settings.load import load_config
from latentsync.settings.schema import RuntimeConfig

SIZE = 256
CLIP = 250  # frames: 10 s of video
NEW = ("U-Net", "encode", "decode")  # of a frame that was not seen before; else without encoding


def main(arguments: list[str] | None = None) -> None:
    own = _parser().parse_args(arguments)
    for precision in own.precision:
        how = configure_execution(RuntimeConfig(backend=own.backend, precision=precision))
        tasks = {**_musetalk(how), **_latentsync(how)}
        measured = in_turns({name: run for name, (run, _) in tasks.items()}, own.rounds)
        seconds = {
            name: tuple(one * per_frame for one in measured[name])
            for name, (_, per_frame) in tasks.items()
        }
        print(f"{how}; load {os.getloadavg()[0]:.1f}")
        for name, (wall, cores) in seconds.items():
            print(f"  {name:22} {wall:7.2f} s a frame, {cores:7.2f} s of the cores")
        _total("MuseTalk, a new frame", [seconds[name] for name in NEW])
        _total("MuseTalk, a known one", [seconds[name] for name in NEW if name != "encode"])
        _total("LatentSync fast", [seconds[name] for name in seconds if name not in NEW])


def _total(name: str, parts: list[tuple[float, ...]]) -> None:
    wall, cores = (sum(one) for one in zip(*parts, strict=True))
    minutes = wall * CLIP / 60
    print(
        f"  {name:22} {wall:7.2f} s a frame, {cores:7.2f} s of the cores; 10 s: {minutes:.0f} min"
    )


def _musetalk(how: Execution) -> dict[str, tuple[Callable[[], object], float]]:
    side = SIZE // LATENT_STEP
    unet = UNetInOneStep(networks(make_unet, how, name="MuseTalk's U-Net", sources=[network]))
    unet.prepare(side, 1)
    vae = VAEInParts(networks(make_vae, how, name="VAE", sources=[network]))
    vae.prepare(SIZE, 1)
    given, latents = examples(1, side), torch.randn(1, 4, side, side)
    shape = 1, 3, SIZE, SIZE  # new images each time: the same one would not be encoded again
    return {
        "U-Net": (lambda: unet(*given), 1.0),
        "encode": (lambda: vae.encode(torch.rand(shape) * 2 - 1), 1.0),
        "decode": (lambda: vae.decode(latents), 1.0),
    }


def _latentsync(how: Execution) -> dict[str, tuple[Callable[[], object], float]]:
    config = load_config("unet_256.yaml", ["preset=fast"])
    nothing: Any = None
    steps, coding = trials(config, how, nothing)
    return {
        "LatentSync's steps": (steps.run, steps.per_frame),
        "LatentSync's VAE": (coding.run, coding.per_frame),
    }


@torch.no_grad()
def in_turns(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Name -> median seconds, and those of all cores together; the first round warms up."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, act in work.items():
            wall, cores = time.perf_counter(), time.process_time()
            act()
            took = time.perf_counter() - wall, time.process_time() - cores
            if number:
                found[name].append(took)
    return {
        name: (median(wall for wall, _ in some), median(cores for _, cores in some))
        for name, some in found.items()
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--precision", nargs="+", default=["auto"], help="default auto")
    parser.add_argument("--backend", default="auto", help="openvino or torch; default auto")
    parser.add_argument("--rounds", type=int, default=2)
    return parser


if __name__ == "__main__":
    main()
