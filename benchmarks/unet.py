"""Time of a chunk of LatentSync at full size, with a backend and with PyTorch in float32.

    python -m benchmarks.unet [--resolution 256|512] [--guidance off|on|both] [--backend openvino]
                              [--precision bf16] [--no-reference] [--json FILE]

The weights are random: they run as fast as the published ones and need no download. Both take turns
in one process, so that a busy machine slows both alike. OpenVINO first converts the U-Net, in about
a minute; if LATENTSYNC_CACHE is set, the converted graphs are kept there (2.6 GB).
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmarks.measure import peak_megabytes
from benchmarks.random_networks import networks
from latentsync.generate.diffusion.unet_runner import SOURCES, UNetInParts
from latentsync.generate.model_spec import CHANNELS, LATENT_STEP, TOKENS, FaceModel
from latentsync.generate.vae import VAEInParts, make_vae
from latentsync.models.unet import WIDTHS, UNet3DConditionModel
from latentsync.runtime.execution import Execution, configure_execution, output_dtype
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import RuntimeConfig

M = TypeVar("M", bound=nn.Module)

FPS = 25
CLIP = 10  # seconds of video that the projection is for
AUDIO = 384
FAST: Any = PRESETS["fast"]
SETTINGS = ((20, 1), (20, 3), (FAST["generate.steps"], FAST["generate.step_cache"]))
"""Denoising steps, DeepCache interval."""
IMAGES = 2  # images that the VAE is timed on


@dataclass(frozen=True)
class Costs:
    """Seconds. whole, cached: one denoising step, by number of forward passes: 2 with guidance.
    encode, decode: one image."""

    whole: dict[int, float]
    cached: dict[int, float]
    encode: float
    decode: float

    def clip(self, steps: int, interval: int, copies: int, frames: int) -> float:
        """CLIP seconds of video. Every frame is encoded twice, masked and unmasked."""
        whole = math.ceil(steps / interval)
        denoising = whole * self.whole[copies] + (steps - whole) * self.cached[copies]
        coding = frames * (2 * self.encode + self.decode)
        return math.ceil(CLIP * FPS / frames) * (denoising + coding)


class Subject:
    """The networks as one Execution runs them, with inputs for each kind of work."""

    def __init__(self, execution: Execution, own: argparse.Namespace, copies: list[int]) -> None:
        self.device = execution.device
        generator = torch.Generator().manual_seed(0)
        dtype = output_dtype(execution)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(self.device, dtype)

        begin = time.perf_counter()
        self.unet = UNetInParts(
            networks(UNet3DConditionModel, execution, name="U-Net", sources=SOURCES),
            width=WIDTHS[0],
            audio=AUDIO,
        )
        self.vae = VAEInParts(networks(make_vae, execution, name="VAE", sources=SOURCES))
        for count in copies:
            model = FaceModel(own.resolution, own.frames, AUDIO)
            self.unet.prepare(model, guided=count == 2)
        self.vae.prepare(own.resolution, IMAGES)
        self.ready = time.perf_counter() - begin
        side = own.resolution // LATENT_STEP
        self.samples = {
            n: random(n, CHANNELS["in_channels"], own.frames, side, side) for n in copies
        }
        self.audio = {n: random(n * own.frames, TOKENS[AUDIO], AUDIO) for n in copies}
        self.deep: dict[int, Tensor] = {}
        self.latents = random(IMAGES, CHANNELS["out_channels"], side, side)
        self._random, self._resolution = random, own.resolution

    def work(self) -> dict[str, Callable[[], object]]:
        """The tasks by name, to be run in this order."""
        tasks: dict[str, Callable[[], object]] = {}
        for n in self.samples:
            tasks[f"whole {n}"] = lambda n=n: self._whole(n)  # type: ignore[misc]
            tasks[f"cached {n}"] = lambda n=n: self._step(n, self.deep[n])  # type: ignore[misc]
        # New images each time: the VAE would not encode the same ones again.
        shape = IMAGES, 3, self._resolution, self._resolution
        tasks["encode"] = lambda: self.vae.encode(self._random(*shape))
        tasks["decode"] = lambda: self.vae.decode(self.latents)
        return tasks

    def _step(self, copies: int, cached: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.unet.step(self.samples[copies], 951, self.audio[copies], cached=cached)

    def _whole(self, copies: int) -> None:
        self.deep[copies] = self._step(copies, None)[1]


@torch.no_grad()
def measure(subjects: dict[str, Subject], times: int) -> dict[str, Costs]:
    """Medians over ``times`` rounds, in which all subjects take turns at each kind of work."""
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in subjects}
    work = {name: subject.work() for name, subject in subjects.items()}
    for number in range(times + 1):
        for task in next(iter(work.values())):
            for name, subject in subjects.items():
                begin = time.perf_counter()
                work[name][task]()
                _finish(subject.device)
                if number:  # the first round warms up
                    taken = time.perf_counter() - begin
                    seconds[name].setdefault(task, []).append(taken)
    return {name: _costs(by_task) for name, by_task in seconds.items()}


def _costs(seconds: dict[str, list[float]]) -> Costs:
    median = {task: statistics.median(taken) for task, taken in seconds.items()}
    copies = [int(task.split()[1]) for task in median if task.startswith("whole")]
    return Costs(
        {n: median[f"whole {n}"] for n in copies},
        {n: median[f"cached {n}"] for n in copies},
        median["encode"] / IMAGES,
        median["decode"] / IMAGES,
    )


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def table(costs: dict[str, Costs], frames: int) -> str:
    """A line for each kind of work and each projection, a column for each subject, the ratio."""
    first = next(iter(costs.values()))
    rows: dict[str, Callable[[Costs], float]] = {}
    for n in first.whole:
        how = "guided" if n == 2 else "not guided"
        rows[f"step, whole, {how}"] = lambda c, n=n: c.whole[n]  # type: ignore[misc]
        rows[f"step, cached, {how}"] = lambda c, n=n: c.cached[n]  # type: ignore[misc]
    rows["VAE encode, a chunk"] = lambda c: 2 * frames * c.encode
    rows["VAE decode, a chunk"] = lambda c: frames * c.decode
    for steps, interval in SETTINGS:
        for n in first.whole:
            cache = "no cache" if interval == 1 else f"cache {interval}"
            name = f"{CLIP} s: {steps} steps, {cache}, {'guided' if n == 2 else 'not guided'}"
            rows[name] = lambda c, s=steps, i=interval, n=n: c.clip(s, i, n, frames)  # type: ignore[misc]
    lines = [" " * 42 + "".join(f"{name:>26}" for name in costs) + "   ratio"]
    for name, value in rows.items():
        values = [value(each) for each in costs.values()]
        ratio = f"{values[-1] / values[0]:7.2f}" if len(values) > 1 else ""
        lines.append(f"{name:<42}" + "".join(f"{v:>24.2f} s" for v in values) + f" {ratio}")
    return "\n".join(lines)


def run(own: argparse.Namespace) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    runtime = RuntimeConfig(own.device, own.backend, own.precision, own.threads)
    executions = [configure_execution(runtime)]
    if own.reference and str(executions[0]) != "PyTorch, fp32, CPU":
        plain = RuntimeConfig(own.device, "torch", "fp32", own.threads)
        executions.append(configure_execution(plain))
    copies = {"off": [1], "on": [2], "both": [1, 2]}[own.guidance]
    subjects = {str(each): Subject(each, own, copies) for each in executions}
    costs = measure(subjects, own.steps)
    about = {
        "resolution": own.resolution,
        "frames": own.frames,
        "threads": torch.get_num_threads(),
        "seconds_to_get_ready": {name: each.ready for name, each in subjects.items()},
        "peak_gigabytes": peak_megabytes() * 2**20 / 1e9,
    }
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(table(costs, own.frames))
    return about | {"seconds": {name: asdict(each) for name, each in costs.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resolution", type=int, default=256, help="pixels: 256 or 512")
    parser.add_argument("--guidance", choices=("off", "on", "both"), default="off")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--no-reference", dest="reference", action="store_false")
    parser.add_argument("--steps", type=int, default=2, help="rounds, after a warm-up round")
    parser.add_argument("--frames", type=int, default=16, help="frames in a chunk")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    own = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with TemporaryDirectory() as folder:
        os.environ.setdefault("LATENTSYNC_CACHE", folder)
        figures = run(own)
    if own.json is not None:
        own.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
