"""Runs the U-Net in two parts, so that a cached step skips the first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from latentsync.generate.diffusion.kind import GRAPHS
from latentsync.generate.diffusion.lora import UsedLora
from latentsync.generate.model_spec import CHANNELS, LATENT_STEP, TOKENS, FaceModel, unet_file
from latentsync.models import attention, blocks, lora, motion_module, parts, resnet, topology, unet
from latentsync.models.parts import DeepLayers, LastLayer
from latentsync.models.unet import WIDTHS, UNet3DConditionModel, time_waves
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.weights.load import build, log_weights_used

SOURCES = (attention, blocks, motion_module, parts, resnet, topology, unet)
"""The modules that define the network."""

SMALL = {"batch": 1, "frames": 2, "side": 8}
"""Shape of the example chunk that graphs are traced with; they serve for every other shape."""


def deep_layers(net: nn.Module) -> nn.Module:
    return DeepLayers(cast(UNet3DConditionModel, net))


def last_layer(net: nn.Module) -> nn.Module:
    return LastLayer(cast(UNet3DConditionModel, net))


class UNetInParts:
    """See latentsync.generate.diffusion.sampling.Denoiser.

    networks: of UNet3DConditionModel. width: channels of its time waves and of the cached features.
    audio: width of an audio token.
    """

    def __init__(self, networks: Networks, *, width: int, audio: int) -> None:
        self._networks, self._width, self._audio = networks, width, audio
        # A CPU gains nothing by a batch. Unbatched, the parts take half the memory, and one graph
        # serves with guidance and without.
        self._unbatched = networks.execution.backend == "openvino"
        small = self._inputs(**SMALL)
        self._deep = Part("deep layers", deep_layers, small=(small[0], *small[2:]))
        self._last = Part("last layer", last_layer, small=small)

    def prepare(self, model: FaceModel, *, guided: bool) -> None:
        """Prepares the parts for whole chunks. Raises CheckpointError and ConfigError."""
        batch, side = 2 if guided and not self._unbatched else 1, model.resolution // LATENT_STEP
        given = self._inputs(batch=batch, frames=model.frames, side=side)
        self._networks.part(self._last, *given)
        self._networks.part(self._deep, given[0], *given[2:])
        if self._unbatched:
            self._networks.release()  # 5 GB that the graphs do not need

    def _inputs(self, *, batch: int, frames: int, side: int) -> tuple[Tensor, ...]:
        """Example inputs of a chunk: sample, deep, waves, audio."""
        rows = batch * frames
        return (
            torch.zeros(batch, CHANNELS["in_channels"], frames, side, side),
            torch.zeros(rows, self._width, side, side),
            torch.zeros(batch, self._width),
            torch.zeros(rows, TOKENS[self._audio], self._audio),
        )

    def step(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        *,
        cached: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """See UNet3DConditionModel.step. Parts for other shapes are prepared on first use."""
        if not self._unbatched:
            return self._step(sample, timestep, encoder_hidden_states, cached)
        count = len(sample)
        audios = encoder_hidden_states.chunk(count)
        stale = [None] * count if cached is None else cached.chunk(count)
        each = zip(sample.split(1), audios, stale, strict=True)
        made = [self._step(x, timestep, audio, deep) for x, audio, deep in each]
        return torch.cat([noise for noise, _ in made]), torch.cat([deep for _, deep in made])

    def _step(
        self, sample: Tensor, timestep: Tensor | float, audio: Tensor, deep: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        device = self._networks.execution.device
        if isinstance(timestep, Tensor):
            steps = timestep.to(device).expand(len(sample))
        else:  # created on the device: a copy would make the CPU wait for a GPU in every step
            steps = torch.full((len(sample),), float(timestep), device=device)
        waves = time_waves(steps, self._width)
        if deep is None:
            (deep,) = self._networks.part(self._deep, sample, waves, audio)(sample, waves, audio)
        given = sample, deep, waves, audio
        (noise,) = self._networks.part(self._last, *given)(*given)
        return noise, deep


def load_unet(
    settings: Mapping[str, Any],
    model: FaceModel,
    path: Path,
    execution: Execution,
    used: UsedLora | None = None,
) -> UNetInParts:
    """The U-Net with the weights of the file, and a LoRA merged into them.

    settings: the configuration's `model`. Raises CheckpointError, and ConfigError for a setting of
    another network.
    """
    file = unet_file(model)
    log_weights_used(file, path)

    def make() -> UNet3DConditionModel:
        return UNet3DConditionModel(**settings)

    amend = None if used is None else used.amend(make)  # at once: a bad file raises early
    changed = used is not None and bool(used.identity)
    networks = Networks(
        lambda dtype: build(
            make, file, path, execution.device, dtype=dtype, amend=amend, logged=True
        ),
        name=GRAPHS,
        checkpoint=path,
        execution=execution,
        sources=(*SOURCES, lora) if changed else SOURCES,
        variant=_variant(settings, used.identity if used is not None else ""),
    )
    return UNetInParts(
        networks, width=settings.get("block_out_channels", WIDTHS)[0], audio=model.audio
    )


def _variant(settings: Mapping[str, Any], lora_identity: str) -> str:
    """What graphs depend on beside weights and sources; without a LoRA the settings alone."""
    own = json.dumps(dict(settings), sort_keys=True, default=str)
    return f"{own} {lora_identity}" if lora_identity else own
