"""Times of the stages of a chunk, and the speed for a video, on the device in use."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.gpu_stages import (
    AUDIO,
    TOKENS,
    Chain,
    Models,
    Setting,
    advanced,
    ddim,
    decoder,
    random_weights,
)
from benchmarks.gpu_transfer import Transfers, overlapped
from benchmarks.gpu_vae import LATENTS
from latentsync.runtime.memory import fitting_batch
from latentsync.speech.encoder import tiny

Act = Callable[[], object]
Chunk = tuple[Tensor, Tensor, Tensor, Tensor]

WARM_UPS = 2
SIDE = {False: 8192, True: 512}  # of the matrices whose product is the reference; key: small
SPEECH = 1, 80, 3000  # log-mel of 30 s, the input of Whisper


def chunk_of(setting: Setting, seed: int = 0) -> Chunk:
    """On the CPU: crops, audio, VAE noise and initial noise, as Chain takes them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    frames, side = setting.frames, setting.side
    crops = normal(frames, 3, setting.size, setting.size).clamp(-1, 1)
    audio = normal(frames, TOKENS, AUDIO)
    return crops, audio, normal(2 * frames, LATENTS, side, side), normal(1, LATENTS, 1, side, side)


def stages(chain: Chain, guidance: Sequence[bool] = (False, True)) -> Iterator[tuple[str, Act]]:
    """All stages of a chunk by name, each with inputs of its own. guidance: of the steps."""
    setting = chain.setting
    chunk, transfers = chunk_of(setting), Transfers(setting.device)
    crops, audio, vae_noise, initial = transfers.to_device(*chunk).tensors()
    latents = initial.expand(-1, -1, setting.frames, -1, -1)
    faces = chain.decoded(latents)
    yield "crops to the device", lambda: transfers.to_device(*chunk).tensors()
    yield f"VAE encode, 2 x {setting.frames}", lambda: chain.conditions(crops, vae_noise)
    conditions = chain.conditions(crops, vae_noise)
    for guided in guidance:
        yield from _steps(chain, latents, conditions, audio, guided=guided)
    row, noise = ddim(1)[0].to(setting.device), torch.cat([latents, latents])
    yield "scheduler alone, guided step", lambda: advanced(latents, row, noise)
    yield f"VAE decode, {setting.frames}", lambda: chain.decoded(latents)
    yield "faces into their crops", lambda: chain.composited(faces, crops)
    if setting.faces:
        yield f"GFPGAN, {setting.faces} faces", lambda: chain.restored(faces)
    yield "faces to the host", lambda: transfers.to_host(faces).tensor()
    if not setting.small:
        network = random_weights(tiny, setting.device, setting.dtype)
        yield "Whisper, 30 s", _whisper(network, setting)


def _steps(
    chain: Chain, latents: Tensor, conditions: Tensor, audio: Tensor, *, guided: bool
) -> Iterator[tuple[str, Act]]:
    whole, cached = chain.steppers(guided=guided)
    row = ddim(1)[0].to(chain.setting.device)
    inputs = latents, row, conditions, torch.cat([audio] * (1 + guided))
    deep = whole(*inputs)[1]
    kind = "guided step" if guided else "step"
    yield f"U-Net, whole {kind}", lambda: whole(*inputs)
    yield f"U-Net, cached {kind}", lambda: cached(*inputs, deep)


def _whisper(network: nn.Module, setting: Setting) -> Act:
    mel = torch.randn(SPEECH, device=setting.device, dtype=setting.dtype)

    @torch.no_grad()
    def act() -> Tensor:
        return network(mel)

    return act


def video_speed(chain: Chain, *, steps: int, interval: int, guided: bool, chunks: int) -> float:
    """Frames per second over ``chunks`` chunks, after one that is not counted."""

    @torch.no_grad()
    def work(crops: Tensor, audio: Tensor, vae_noise: Tensor, initial: Tensor) -> Tensor:
        latents = chain.denoised(
            chain.conditions(crops, vae_noise),
            audio,
            initial,
            steps=steps,
            interval=interval,
            guided=guided,
        )
        return chain.restored(chain.composited(chain.decoded(latents), crops))

    chunk, transfers = chunk_of(chain.setting), Transfers(chain.setting.device)
    list(overlapped([chunk], work, transfers))
    start = time.perf_counter()
    results = list(overlapped([chunk] * chunks, work, transfers))
    seconds = time.perf_counter() - start
    if not all(result.isfinite().all() for result in results):
        raise ArithmeticError("a network returned NaN or infinity: the figures are invalid")
    return chunks * chain.setting.frames / seconds


def video_floor(
    work: dict[str, float],
    setting: Setting,
    *,
    steps: int,
    interval: int,
    guided: bool,
    rate: float,
) -> float:
    """Frames per second if all arithmetic ran at the rate. work: operations by stage."""
    kind = "guided step" if guided else "step"
    whole = math.ceil(steps / interval)
    chunk = whole * work[f"U-Net, whole {kind}"] + (steps - whole) * work[f"U-Net, cached {kind}"]
    chunk += sum(count for name, count in work.items() if name.startswith(("VAE", "GFPGAN")))
    return setting.frames * rate / chunk


def vae_batch(models: Models, setting: Setting) -> int:
    """Largest batch that fits. Decoding takes the most memory, so it decides for all."""
    decode, side = decoder(models.vae, setting.dtype), setting.side

    @torch.no_grad()
    def run(count: int) -> Tensor:
        return decode(torch.zeros(count, LATENTS, side, side, device=setting.device))

    batch = fitting_batch(run, most=setting.frames, device=setting.device)
    while setting.frames % batch:  # a graph takes one shape: no portion may be shorter
        batch -= 1
    return batch


def median_seconds(act: Act, device: torch.device, repeat: int) -> float:
    """Of one call; on a GPU by CUDA events, which include waiting for the CPU."""
    for _ in range(WARM_UPS):
        act()
    return statistics.median(_seconds(act, device) for _ in range(repeat))


def _seconds(act: Act, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        act()
        return time.perf_counter() - start
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    before.record()
    act()
    after.record()
    torch.cuda.synchronize(device)
    return before.elapsed_time(after) / 1e3


def operations(act: Act) -> float:
    """Of convolutions, matrix products and attention; a multiplication and its addition are two.

    Counts operators that are dispatched one by one: none in a CUDA graph or in compiled code.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        act()
    return float(counter.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product: the peak rate of arithmetic here.

    With random numbers: zeros take less power and run faster than real data.
    """
    side = SIDE[device.type != "cuda"]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / median_seconds(lambda: a @ b, device, 10)


def start_of_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gigabytes(device: torch.device) -> float:
    """What PyTorch held of the GPU's memory since start_of_peak, with what its graphs reserve; on
    a CPU the process's peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
