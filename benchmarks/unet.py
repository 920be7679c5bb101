"""What a chunk of LatentSync costs at full size, and what a film's speed is then.

    python -m benchmarks.unet [--resolution 256|512] [--guidance] [--device auto] [--frames 16]

The weights are random: they cost what the published ones cost, and need no download. On a GPU in
bfloat16, elsewhere in float32.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from latentsync.generate import sampling
from latentsync.generate.vae import make_vae
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime.device import choose_device, limit_threads

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")

FPS = 25
AUDIO = (50, 384)  # tokens of one frame, numbers in each
EXTRAPOLATED = ((20, 1), (20, 3), (8, 1), (8, 3))  # steps, interval of the step cache


@dataclass(frozen=True)
class Costs:
    """Seconds for one chunk's parts; whole, cached: for one step of the sampler."""

    encode: float
    whole: float
    cached: float
    decode: float

    def chunk(self, steps: int, interval: int) -> float:
        whole = math.ceil(steps / interval)
        return self.encode + whole * self.whole + (steps - whole) * self.cached + self.decode


def random_weights(make: Callable[[], M], device: torch.device, dtype: torch.dtype) -> M:
    """The network with random weights of a size that keeps activations finite."""
    with torch.device("meta"):
        network = make()
    state = {
        key: _random(value, device, dtype) if value.is_meta else value.to(device, dtype)
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _random(like: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    value = torch.empty(like.shape, device=device, dtype=dtype)
    if like.dim() < 2:
        return value.fill_(0.5)
    bound = math.sqrt(3 / math.prod(like.shape[1:]))
    return value.uniform_(-bound, bound)


def measure(options: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> Costs:
    """Runs the parts of one chunk; each U-Net step --steps times, after one that is not counted."""
    vae = random_weights(make_vae, device, dtype)
    unet = random_weights(UNet3DConditionModel, device, dtype)
    frames, side = options.frames, options.resolution
    noise = sampling.per_chunk_noise(0, 0, frames, side // 8, device=device)
    faces, keep = torch.zeros(frames, 3, side, side), torch.ones(side, side)
    encode, conditions = timed(lambda: sampling.prepare(vae, faces, keep, noise), device)
    sample = torch.cat([noise.initial.to(conditions).expand(-1, -1, frames, -1, -1), conditions], 1)
    copies = 2 if options.guidance else 1
    sample = sample.repeat(copies, 1, 1, 1, 1)
    audio = torch.zeros(copies * frames, *AUDIO, device=device, dtype=dtype)
    with torch.no_grad():
        deep = unet.step(sample, 951, audio)[1]  # warm-up
        whole = average(lambda: unet.step(sample, 951, audio), options.steps, device)
        cached = average(lambda: unet.step(sample, 951, audio, cached=deep), options.steps, device)
    latents = conditions[:, 5:].float()
    decode, _ = timed(lambda: sampling.decode(vae, latents), device)
    return Costs(encode, whole, cached, decode)


def average(act: Callable[[], object], times: int, device: torch.device) -> float:
    return sum(timed(act, device)[0] for _ in range(times)) / times


def timed(act: Callable[[], T], device: torch.device) -> tuple[float, T]:
    """-> seconds, what act gave."""
    _finish(device)
    start = time.perf_counter()
    result = act()
    _finish(device)
    return time.perf_counter() - start, result


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_gigabytes(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def table(options: argparse.Namespace, costs: Costs, device: torch.device) -> str:
    lines = [
        f"{options.frames} frames of {options.resolution} pixels on {device}, "
        f"{'guided' if options.guidance else 'not guided'}, {torch.get_num_threads()} threads",
        f"VAE encode, twice   {costs.encode:8.2f} s",
        f"step, whole         {costs.whole:8.2f} s",
        f"step, cached        {costs.cached:8.2f} s",
        f"VAE decode          {costs.decode:8.2f} s",
        f"peak memory         {peak_gigabytes(device):8.2f} GB",
    ]
    for steps, interval in EXTRAPOLATED:
        seconds = costs.chunk(steps, interval)
        cache = "" if interval == 1 else f", cache {interval}"
        speed = options.frames / seconds
        lines.append(
            f"{f'{steps} steps{cache}':<20}{seconds:8.1f} s a chunk, {speed:7.3f} frames a second, "
            f"{FPS / speed:6.0f} s for a second of film"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resolution", type=int, choices=(256, 512), default=512)
    parser.add_argument("--guidance", action="store_true", help="as for a guidance above 1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=2, help="measured of each kind")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: all cores")
    options = parser.parse_args()
    limit_threads(options.threads)
    device = choose_device(options.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    print(table(options, measure(options, device, dtype), device))


if __name__ == "__main__":
    main()
