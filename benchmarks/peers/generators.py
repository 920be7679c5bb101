"""LatentSync and MuseTalk at full size with random weights: this project's, and their own loops.

Their loops run PyTorch in fp32, whole chunks in a batch, guidance as a batch of two, and the VAE on
whole chunks; LatentSync's also crop and paste as they do. Ours is measured as the commands run it.
What a video takes is the sum of its steps: a step takes the same time whichever it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.peers import upstream
from benchmarks.peers.clips import CLIPS, RATE, Points
from benchmarks.peers.contestant import Contestant, Setup, around
from benchmarks.peers.ours import lipsync_engine, lipsynced, write_noise
from benchmarks.random_networks import networks
from latentsync.commands.console import use_threads
from latentsync.generate.diffusion.unet_runner import SOURCES, UNetInParts
from latentsync.generate.model_spec import CHANNELS, LATENT_STEP, TOKENS, FaceModel
from latentsync.generate.musetalk import network
from latentsync.generate.musetalk.network import UNetInOneStep, examples, make_unet
from latentsync.generate.vae import VAEInParts, make_vae
from latentsync.models.unet import WIDTHS, UNet3DConditionModel
from latentsync.runtime.execution import (
    REFERENCE,
    Execution,
    configure_execution,
    output_dtype,
    torch_threads,
)
from latentsync.settings.schema import RuntimeConfig

SIZE, AUDIO, TIMESTEP = 256, 384, 951
SIDE = SIZE // LATENT_STEP
WHOLE, CACHED, ENCODE, DECODE, UNET = "step, whole", "step, cached", "encode", "decode", "U-Net"
UPSTREAM_BATCH = 8  # frames, of MuseTalk's script


def _ours() -> Execution:
    execution = configure_execution(RuntimeConfig())
    use_threads(torch_threads(execution))
    return execution


def _theirs() -> Execution:
    torch.set_num_threads(os.cpu_count() or 1)
    return REFERENCE


def _vae_work(execution: Execution, batch: int) -> dict[str, Callable[[], int]]:
    vae = VAEInParts(networks(make_vae, execution, name="VAE", sources=SOURCES))
    vae.prepare(SIZE, batch)
    latents = torch.randn(batch, CHANNELS["out_channels"], SIDE, SIDE, dtype=vae.dtype)

    def encode() -> int:  # new images each time: the same ones would not be encoded again
        return len(vae.encode(torch.rand(batch, 3, SIZE, SIZE) * 2 - 1).latent_dist.mean)

    def decode() -> int:
        return len(vae.decode(latents).sample)

    return {ENCODE: torch.no_grad()(encode), DECODE: torch.no_grad()(decode)}


def _steps(execution: Execution, frames: int, copies: int) -> dict[str, Callable[[], int]]:
    """copies: 2 with guidance in a batch."""
    unet = UNetInParts(
        networks(UNet3DConditionModel, execution, name="U-Net", sources=SOURCES),
        width=WIDTHS[0],
        audio=AUDIO,
    )
    unet.prepare(FaceModel(SIZE, frames, AUDIO), guided=copies == 2)
    dtype = output_dtype(execution)
    sample = torch.randn(copies, CHANNELS["in_channels"], frames, SIDE, SIDE, dtype=dtype)
    audio = torch.randn(copies * frames, TOKENS[AUDIO], AUDIO, dtype=dtype)
    kept: list[Tensor] = []

    def whole() -> int:
        kept[:] = [unet.step(sample, TIMESTEP, audio)[1]]
        return 1

    def cached() -> int:
        unet.step(sample, TIMESTEP, audio, cached=kept[0])
        return 1

    return {WHOLE: torch.no_grad()(whole), CACHED: torch.no_grad()(cached)}


def latentsync(setup: Setup) -> Contestant:
    engine, execution = lipsync_engine(), _ours()
    work = _steps(execution, setup.frames, 1) | _vae_work(execution, 1)
    for clip in CLIPS:
        path = clip.path(setup.folder, clip.plain)
        audio = path.with_suffix(".wav")
        write_noise(audio, clip.plain / RATE)
        work[around(clip.name)] = partial(lipsynced, engine, path, audio)
    return Contestant(f"LatentSync at {SIZE} px: {execution}, unbatched", work)


def upstream_latentsync(setup: Setup) -> Contestant:
    execution, points = _theirs(), Points.control()
    work = _steps(execution, setup.frames, 2) | _vae_work(execution, setup.frames)
    for clip in CLIPS:
        path = clip.path(setup.folder, clip.plain)
        work[around(clip.name)] = partial(
            upstream.process, path, clip.plain, points, lambda faces, *_: faces, SIZE
        )
    return Contestant(f"LatentSync a229c39: {execution}, guidance in a batch of two", work)


def _one_step(execution: Execution, frames: int) -> dict[str, Callable[[], int]]:
    unet = UNetInOneStep(networks(make_unet, execution, name="MuseTalk", sources=[network]))
    unet.prepare(SIDE, frames)
    given = [one.to(output_dtype(execution)) for one in examples(frames, SIDE)]
    return {UNET: torch.no_grad()(lambda: len(unet(*given)))}


def musetalk(_setup: Setup) -> Contestant:
    execution = _ours()
    work = _one_step(execution, 1) | _vae_work(execution, 1)
    return Contestant(f"MuseTalk at {SIZE} px: {execution}, unbatched", work)


def upstream_musetalk(setup: Setup) -> Contestant:
    execution, batch = _theirs(), min(UPSTREAM_BATCH, setup.frames)
    work = _one_step(execution, batch) | _vae_work(execution, batch)
    return Contestant(f"MuseTalk 0a89dec: {execution}, batches of {batch}", work)
