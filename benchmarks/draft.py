"""Time of a frame of `--preset draft` at 256 pixels by stage: LatentSync and MuseTalk with TAESD.

    python -m benchmarks.draft [--precision fp32] [--backend openvino|torch] [--vae TAESD]

The weights are random. TAESD, the VAE beside it and MuseTalk's U-Net have their full size, and are
converted first (with LATENTSYNC_CACHE set, once). LatentSync's denoising is that of its
`--dry-run`, from a smaller network of the same layers. What the cores themselves spent depends less
on how busy the machine is than the time on the clock does.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.musetalk import CLIP, SIZE, in_turns
from benchmarks.random_networks import networks
from benchmarks.table import markdown
from latentsync.generate.coding import CHANNELS
from latentsync.generate.diffusion.timing import trials
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.generate.musetalk import network
from latentsync.generate.musetalk.network import UNetInOneStep, examples, make_unet
from latentsync.generate.vae import DESIGNS, VAEInParts
from latentsync.runtime.execution import Execution, configure_execution
from latentsync.settings.load import load_config
from latentsync.settings.schema import RuntimeConfig

SIDE = SIZE // LATENT_STEP
CORES = 2
DENOISING, ONE_STEP = "LatentSync, denoising", "MuseTalk, U-Net"
GENERATORS = {"LatentSync": (DENOISING, 2), "MuseTalk": (ONE_STEP, 1)}
"""Its stage beside the VAE, and how often a frame is encoded: masked, and as a reference, of which
MuseTalk has few."""

Tasks = dict[str, tuple[Callable[[], object], float]]
"""Stage -> what is timed, and how often a frame needs it."""


def main(arguments: list[str] | None = None) -> None:
    own = _parser().parse_args(arguments)
    how = configure_execution(RuntimeConfig(backend=own.backend, precision=own.precision))
    tasks = _denoising(how) | _one_step(how)
    for vae in own.vae:
        tasks |= _coding(how, vae)
    measured = in_turns({name: run for name, (run, _) in tasks.items()}, own.rounds)
    wall, cores = (
        {name: measured[name][i] * per_frame for name, (_, per_frame) in tasks.items()}
        for i in range(2)
    )
    print(f"{how}; load {os.getloadavg()[0]:.1f}\n")
    stages = [(name, f"{wall[name]:.2f}", f"{cores[name]:.2f}") for name in wall]
    print(markdown([("stage, a frame", "s", "s of a core"), *stages, *_totals(cores, own.vae)]))


def _totals(cores: dict[str, float], vaes: Sequence[str]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for generator, (stage, encoded) in GENERATORS.items():
        for vae in vaes:
            coding = encoded * cores[_named(vae, "encoding")] + cores[_named(vae, "decoding")]
            frame = cores[stage] + coding
            minutes = f"{frame * CLIP / CORES / 60:.1f} min for 10 s on {CORES} cores"
            rows.append((f"**{generator} with {vae}**", minutes, f"**{frame:.2f}**"))
    return rows


def _named(vae: str, part: str) -> str:
    return f"{vae}, {part}"


def _denoising(how: Execution) -> Tasks:
    nothing: Any = None
    config = load_config("unet_256.yaml", ["preset=draft", "generate.name=latentsync"])
    steps, _ = trials(config, how, nothing)
    return {DENOISING: (steps.run, steps.per_frame)}


def _one_step(how: Execution) -> Tasks:
    unet, given = (
        UNetInOneStep(networks(make_unet, how, name="MuseTalk's U-Net", sources=[network])),
        examples(1, SIDE),
    )
    unet.prepare(SIDE, 1)
    return {ONE_STEP: (lambda: unet(*given), 1.0)}


def _coding(how: Execution, key: str) -> Tasks:
    vae = VAEInParts(networks(DESIGNS[key].make, how, name=key, sources=[network]), DESIGNS[key])
    vae.prepare(SIZE, 1)
    shape, latents = (1, 3, SIZE, SIZE), torch.randn(1, CHANNELS, SIDE, SIDE)
    return {  # new images each time: the same one would not be encoded again
        _named(key, "encoding"): (lambda: vae.encode(torch.rand(shape) * 2 - 1), 1.0),
        _named(key, "decoding"): (lambda: vae.decode(latents), 1.0),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--precision", default="auto", help="default auto")
    parser.add_argument("--backend", default="auto", help="openvino or torch; default auto")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--vae", nargs="+", choices=DESIGNS, default=[*DESIGNS], help="default all")
    return parser


if __name__ == "__main__":
    main()
