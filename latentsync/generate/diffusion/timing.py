"""What the time of diffusion is estimated from. Its operations are known in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from latentsync.generate.diffusion.guidance import guided_steps
from latentsync.generate.model_spec import (
    CHANNELS,
    LATENT_STEP,
    TOKENS,
    FaceModel,
    face_model,
    vae_wanted,
)
from latentsync.generate.timing import MUCH, Sample, Trial, coding_trial, network_trial, work
from latentsync.models.unet import UNet3DConditionModel

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config

SMALLER: dict[str, Any] = {
    "block_out_channels": (640,),
    "down_block_types": ("CrossAttnDownBlock3D",),
    "up_block_types": ("CrossAttnUpBlock3D",),
    "layers_per_block": 1,
}
"""The U-Net's second level, neither its widest nor its narrowest, on half the side."""
SMALLER_FRAMES = 2


def trials(config: Config, execution: Execution, _sample: Sample) -> list[Trial]:
    """A denoising step of a chunk, and the VAE.

    Frames that chunks share are denoised twice, and encoded and decoded once.
    """
    model = face_model(config)
    side = model.resolution // LATENT_STEP
    steps = _steps(config, model, side, execution)
    vae, _ = vae_wanted(config)
    return [steps, coding_trial(vae, side, execution, encoded=2, decoded=1)]


def _steps(config: Config, model: FaceModel, side: int, execution: Execution) -> Trial:
    settings = config.generate
    guidance = settings.guidance, settings.guidance_interval, settings.step_cache
    passes = [1 + guided for guided in guided_steps(settings.steps, *guidance)]
    whole_passes = sum(passes[:: max(settings.step_cache, 1)])
    whole, cached = _step_work(config.model, model.frames, side, model.audio)
    steps = whole_passes * whole + (sum(passes) - whole_passes) * cached
    operations = steps / (model.frames - settings.overlap)  # shared frames are denoised twice
    structure, frames, done = config.model, model.frames, whole
    if whole > MUCH and execution.device.type == "cpu":
        structure, frames, side = {**structure, **SMALLER}, SMALLER_FRAMES, side // 2
        done, _ = _step_work(structure, frames, side, model.audio)
    with torch.device(execution.device):  # initialising a large network is fast there
        unet = UNet3DConditionModel(**structure)
    inputs = _inputs(frames, side, model.audio)
    return network_trial(_Step(unet), inputs, operations / done, execution)


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
    whole = work(lambda: deep.append(unet.step(*inputs)[1]))
    return whole, work(lambda: unet.step(*inputs, cached=deep[0]))
