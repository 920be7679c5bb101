"""Estimates the cost of generating mouths on this machine, in seconds and without the weights.

The operations of diffusion are known in advance. The speed of this machine is measured with a
smaller network of the same layers, run by the same backend.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from latentsync.errors import ConfigError
from latentsync.estimate.cost import Cost, timed
from latentsync.face.masks import upstream_mask
from latentsync.generate.diffusion import unet_runner as denoiser
from latentsync.generate.model_spec import CHANNELS, LATENT_STEP, TOKENS, face_model
from latentsync.generate.replay.head_pose import MOUTH, RESTING, placement
from latentsync.generate.replay.transplant import Mouth, Transplanter
from latentsync.generate.vae import DECODER, make_vae
from latentsync.geometry import points_to_aligned, square
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime import cache, openvino
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Eager
from latentsync.settings.schema import Config
from latentsync.tone import extract_levels
from latentsync.types import Alignment, Frame

logger = logging.getLogger(__name__)

STAGE = "generate"
TIMES = 2  # timed runs, after one warm-up
MUCH = 1e12  # operations; a network with more is timed by a smaller one
SMALLER: dict[str, Any] = {
    "block_out_channels": (640,),
    "down_block_types": ("CrossAttnDownBlock3D",),
    "up_block_types": ("CrossAttnUpBlock3D",),
    "layers_per_block": 1,
}
"""The U-Net's second level, neither its widest nor its narrowest, on half the side."""
SMALLER_FRAMES = 2
SMALLER_SIDE = 16  # of the latents that the VAE is timed with


def generation_cost(config: Config, execution: Execution, frame: Frame, face: Alignment) -> Cost:
    """Cost of one frame's new mouth. face: of the frame.

    Raises ConfigError: a plug-in generator, whose cost is unknown.
    """
    name = config.generate.name.lower()
    if name == "replay":
        return _transplanting(config, frame, face)
    if name == "latentsync":
        return _diffusion(config, execution)
    remedy = "only the time of latentsync and replay can be estimated"
    raise ConfigError("--dry-run with generate.name", config.generate.name, remedy)


def is_converted(execution: Execution) -> bool:
    """Whether LatentSync's networks are converted already, or need no conversion.

    Only the network's name is checked: other weights or versions are converted again.
    """
    if execution.backend != "openvino":
        return True
    abouts = (path.read_text("utf-8") for path in cache.folder().glob(f"*/{cache.ABOUT}"))
    return any(denoiser.NAME in about for about in abouts)


def _transplanting(config: Config, frame: Frame, face: Alignment) -> Cost:
    """Cost of transplanting the frame's own mouth; selecting and reading it costs nothing."""
    side = face_model(config).resolution
    matrix = square(side) @ np.vstack([face.matrix, [0, 0, 1]])
    points = points_to_aligned(face.landmarks[None], face.matrix[None])[0]
    mouth, rest = points[list(MOUTH)], points[list(RESTING)]
    transplant = Transplanter(upstream_mask(side))

    def generate() -> None:
        crop = extract_levels(frame, matrix, (side, side))
        pixels = ((crop + 1) * 127.5).to(torch.uint8).permute(1, 2, 0).numpy()
        transplant(crop, mouth, rest, [Mouth(pixels, mouth, placement(rest, rest))])

    generate()
    return timed(STAGE, generate, 1, times=TIMES)


def _diffusion(config: Config, execution: Execution) -> Cost:
    """Cost of a chunk's operations at the measured speed of such networks.

    Frames that chunks share are denoised twice, and encoded and decoded once.
    """
    logger.info("timing networks like LatentSync's on this machine; up to a minute")
    settings, model = config.generate, face_model(config)
    whole_steps = math.ceil(settings.steps / max(settings.step_cache, 1))
    copies = 2 if settings.guidance > 1 else 1
    side = model.resolution // LATENT_STEP
    whole, cached = _step_work(config.model, model.frames, side, model.audio)
    steps = copies * (whole_steps * whole + (settings.steps - whole_steps) * cached)
    encoding, decoding = _coding_work(side)
    coding = model.frames * (2 * encoding + decoding)
    twice = model.frames / (model.frames - settings.overlap)  # shared frames are denoised twice
    speed = _speed_of_steps(config.model, whole, model.frames, side, model.audio, execution)
    cost = speed * (steps * twice)
    coded = _speed_of_coding(execution) * coding
    seconds = cost.stages[STAGE] + coded.stages[STAGE]
    return Cost({STAGE: seconds}, cost.cpu + coded.cpu) * (1 / model.frames)


class _Step(nn.Module):
    def __init__(self, unet: UNet3DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, audio: Tensor) -> Tensor:
        return self.unet(sample, timestep, audio)


def _inputs(frames: int, side: int, audio: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of a denoising step; random, as zeros could be faster."""
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, CHANNELS["in_channels"], frames, side, side, generator=generator)
    tokens = torch.randn(frames, TOKENS[audio], audio, generator=generator)
    return sample, torch.tensor([500.0]), tokens


def _step_work(model: dict[str, Any], frames: int, side: int, audio: int) -> tuple[int, int]:
    """Operations of a whole and of a cached step, without guidance."""
    with torch.device("meta"):
        unet = UNet3DConditionModel(**model)
    inputs = [tensor.to("meta") for tensor in _inputs(frames, side, audio)]
    deep: list[Tensor] = []
    whole = _work(lambda: deep.append(unet.step(*inputs)[1]))
    return whole, _work(lambda: unet.step(*inputs, cached=deep[0]))


def _coding_work(side: int) -> tuple[int, int]:
    """Operations of the VAE to encode, and to decode, one image. side: of the latents."""
    pixels = side * LATENT_STEP
    with torch.device("meta"):
        vae = make_vae()
        image, latents = torch.empty(1, 3, pixels, pixels), torch.empty(1, 4, side, side)
    return _work(lambda: vae.encode(image)), _work(lambda: vae.decode(latents))


def _work(act: Callable[[], object]) -> int:
    """Floating-point operations; a multiplication and its addition are two."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        act()
    return counter.get_total_flops()


def _speed_of_steps(
    model: dict[str, Any], work: int, frames: int, side: int, audio: int, execution: Execution
) -> Cost:
    """Cost of one operation. work: operations of a whole step."""
    if work > MUCH and execution.device.type == "cpu":
        model, frames, side = {**model, **SMALLER}, SMALLER_FRAMES, side // 2
        work, _ = _step_work(model, frames, side, audio)
    with torch.device(execution.device):  # initialising a large network is fast there
        unet = UNet3DConditionModel(**model)
    return _speed(_Step(unet), _inputs(frames, side, audio), work, execution)


def _speed_of_coding(execution: Execution) -> Cost:
    """Cost of one operation."""
    with torch.device(execution.device):
        vae = make_vae()
    latents = torch.randn(1, 4, SMALLER_SIDE, SMALLER_SIDE)
    return _speed(DECODER.of(vae), (latents,), _coding_work(SMALLER_SIDE)[1], execution)


def _speed(module: nn.Module, inputs: Sequence[Tensor], work: int, execution: Execution) -> Cost:
    run = _runner(module.eval().requires_grad_(False), inputs, execution)

    def act() -> None:
        run(*inputs)[0].flatten()[0].item()  # waits until a GPU is done

    act()
    return timed(STAGE, act, work, times=TIMES)


def _runner(
    module: nn.Module, inputs: Sequence[Tensor], execution: Execution
) -> Callable[..., tuple[Tensor, ...]]:
    """A runner as of runtime.network.Networks, without a weights file and its cache.

    torch.compile is timed without compilation, which takes minutes and gains little.
    """
    if execution.backend == "openvino":
        graph = openvino.convert(module, inputs)
        return openvino.Graph(graph, inputs, execution, execution.dtype)
    return Eager(module.to(execution.dtype), execution.device, execution.dtype)
