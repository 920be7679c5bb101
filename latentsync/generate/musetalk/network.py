"""MuseTalk 1.5's network: a U-Net of Stable Diffusion 1 that runs once, at timestep 0.

diffusers' UNet2DConditionModel, loaded from local files only. Nothing is denoised: what it predicts
is the latents of the new face.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError
from latentsync.generate.coding import CHANNELS
from latentsync.generate.musetalk.kind import GRAPHS
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.weights.load import build, log_weights_used
from latentsync.weights.manifest import MUSETALK

CONFIG_NAME = "musetalk.json"
AUDIO, TOKENS = 384, 50
"""Width and number of a frame's audio tokens: 10 instants of the 5 states of Whisper tiny."""
INPUTS = 2 * CHANNELS  # latents of the face whose lower half is black, and of the reference
LONGEST_WAVE = 10000  # slowest wave of the positional code: tokens per radian

STRUCTURE: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": INPUTS,
    "out_channels": CHANNELS,
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "norm_eps": 1e-05,
    "cross_attention_dim": AUDIO,
    "attention_head_dim": 8,  # diffusers' old name of the number of heads
}
"""The published musetalk.json."""


class OneStep(nn.Module):
    """unet: diffusers.UNet2DConditionModel. latents: (F, 8, r, r), audio: (F, 50, 384) ->
    (F, 4, r, r)."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, audio: Tensor) -> Tensor:
        timestep = torch.zeros(1, device=latents.device)  # from the CPU, a GPU would wait for it
        predicted: Tensor = self.unet(latents, timestep, audio, return_dict=False)[0]
        return predicted


WHOLE = Part("U-Net", OneStep)


class UNetInOneStep:
    """latents: (F, 8, r, r), audio: (F, 50, 384) with its positional code -> (F, 4, r, r).

    networks: of diffusers.UNet2DConditionModel. On a CPU one frame runs after the other: a batch
    gains nothing there.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._unbatched = networks.execution.backend == "openvino"
        self._filled = 0  # frames of a batch that is filled up: a compiled network has one shape

    def prepare(self, side: int, frames: int) -> None:
        """Prepares for chunks of that many frames. side: of the latents. Raises CheckpointError and
        ConfigError."""
        count = 1 if self._unbatched else frames
        self._networks.part(WHOLE, *examples(count, side))
        if self._networks.execution.backend == "compile":
            self._filled = frames
        if self._unbatched:
            self._networks.release()  # 3.4 GB that the graph does not need

    def __call__(self, latents: Tensor, audio: Tensor) -> Tensor:
        if not self._unbatched:
            missing = max(0, self._filled - len(latents))
            given = (torch.cat([x, x[-1:].expand(missing, *x.shape[1:])]) for x in (latents, audio))
            return self._run(*given)[: len(latents)]
        each = zip(latents.split(1), audio.split(1), strict=True)
        return torch.cat([self._run(*one) for one in each])

    def _run(self, latents: Tensor, audio: Tensor) -> Tensor:
        return self._networks.part(WHOLE, latents, audio)(latents, audio)[0]


def examples(frames: int, side: int) -> tuple[Tensor, Tensor]:
    """Inputs of OneStep; random, as zeros could be faster."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(frames, INPUTS, side, side, generator=generator)
    return latents, torch.randn(frames, TOKENS, AUDIO, generator=generator)


def positional_code(tokens: int = TOKENS, width: int = AUDIO) -> Tensor:
    """(tokens, width) float32, to be added to the audio tokens; it stands in no weights file.

    Sines in even and cosines in odd channels, of waves from 2 pi to 10000 * 2 pi tokens long
    (MuseTalk models/unet.py:12-27).
    """
    frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(LONGEST_WAVE) / width))
    angles = torch.arange(tokens)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def make_unet(structure: Mapping[str, Any] = STRUCTURE) -> Any:
    """diffusers.UNet2DConditionModel with initial weights."""
    from diffusers import UNet2DConditionModel  # the import takes seconds

    return UNet2DConditionModel(**structure)


def load_unet(path: Path, execution: Execution) -> UNetInOneStep:
    """The U-Net with the weights of the file, run by the execution.

    A musetalk.json beside the file gives its structure; without one it is the published one. Raises
    CheckpointError.
    """
    structure = _structure(path.with_name(CONFIG_NAME))
    log_weights_used(MUSETALK, path)
    networks = Networks(
        lambda dtype: build(
            lambda: make_unet(structure),
            MUSETALK,
            path,
            execution.device,
            dtype=dtype,
            logged=True,
        ),
        name=GRAPHS,
        checkpoint=path,
        execution=execution,
        variant=json.dumps([structure, version("diffusers")], sort_keys=True),
    )
    return UNetInOneStep(networks)


def _structure(config: Path) -> dict[str, Any]:
    if not config.is_file():
        return STRUCTURE
    try:
        content = json.loads(config.read_text("utf-8"))
        structure = {key: content.get(key, default) for key, default in STRUCTURE.items()}
    except (OSError, ValueError, AttributeError):
        what = "MuseTalk's musetalk.json cannot be read"
        raise CheckpointError(what, config, "download it again") from None
    fixed = ("in_channels", "out_channels", "cross_attention_dim")
    wrong = [key for key in fixed if structure[key] != STRUCTURE[key]]
    if wrong:
        found = f"{config}: {wrong[0]} {structure[wrong[0]]}"
        raise CheckpointError("the U-Net does not fit", found, f"use {STRUCTURE[wrong[0]]}")
    return structure
