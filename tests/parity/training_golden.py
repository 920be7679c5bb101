"""A golden file of a training step, and our networks with the weights that it was made with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsync.generate.vae import STAGES, make_vae
from latentsync.models.lpips import Lpips, LpipsLayers, VggTrunk
from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.models.unet import UNet3DConditionModel
from latentsync.models.video_mae import VideoMae, VideoMaeOptions
from latentsync.training.batch import UNetBatch
from latentsync.training.unet_step import Latents, LossWeights, UNetStep
from tests.parity.filled import filled
from tests.parity.rule import named_normal, weight

KIND = "training_step"
WEIGHTS = ("recon", "sync", "perceptual", "trepa")


@dataclass(eq=False)
class Step:
    """A golden file, and our networks with its weights."""

    file: Path
    about: dict[str, Any]
    stored: dict[str, np.ndarray]

    @cached_property
    def batch(self) -> UNetBatch:
        """With the audio and mel spectrogram that are made from names."""
        tag = self.file.stem.removeprefix(KIND)
        size = self.about["batch"], self.about["num_frames"]
        width = self.about["unet_config"]["cross_attention_dim"]
        audio = named_normal(f"training_step.audio{tag}", (*size, 50, width))
        mel = named_normal(f"training_step.mel{tag}", (size[0], 1, 80, 52))
        return UNetBatch(
            faces=self.faces("gt"),
            reference=self.faces("ref"),
            audio=torch.from_numpy(audio),
            mel=torch.from_numpy(mel),
            seeds=torch.zeros(size[0], dtype=torch.int64),
            clips=("",) * size[0],
        )

    def faces(self, name: str) -> Tensor:
        blocks = torch.from_numpy(self.stored[f"{name}_blocks16"])
        times = self.about["resolution"] // blocks.shape[-2]
        pixels = blocks.repeat_interleave(times, 2).repeat_interleave(times, 3)
        return pixels.movedim(-1, 2).float() / 127.5 - 1

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.stored[name])

    @cached_property
    def latents(self) -> Latents:
        return Latents(*(self.tensor(f"{name}_latents") for name in ("gt", "masked", "ref")))

    @cached_property
    def keep(self) -> Tensor:
        return self.tensor("mask_pixel")[0]

    @cached_property
    def vae(self) -> nn.Module:
        given = self.about["vae"]
        sizes = {key: value for key, value in given.items() if not key.endswith("_factor")}
        kinds = {
            "down_block_types": ["DownEncoderBlock2D"] * STAGES,
            "up_block_types": ["UpDecoderBlock2D"] * STAGES,
        }
        return filled(make_vae({**kinds, **sizes}))

    @cached_property
    def lpips(self) -> Lpips:
        with torch.device("meta"):
            network = Lpips(VggTrunk(), LpipsLayers())
        shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
        ours = {_as_in_torchvision(key): key for key in self.about["lpips_keys"]}
        assert shapes == {key: self.about["lpips_keys"][theirs] for key, theirs in ours.items()}
        state = {key: weight(ours[key], tuple(shape)) for key, shape in shapes.items()}
        network.load_state_dict(state, assign=True)
        return network.eval().requires_grad_(False)

    @cached_property
    def video_mae(self) -> VideoMae:
        given = self.about["videomae"]
        options = VideoMaeOptions(
            side=given["img_size"],
            patch=given["patch_size"],
            frames=given["all_frames"],
            tubelet=given["tubelet_size"],
            width=given["embed_dim"],
            depth=given["depth"],
            heads=given["num_heads"],
            hidden=int(given["embed_dim"] * given["mlp_ratio"]),
            classes=given["num_classes"],
        )
        return filled(VideoMae(options))

    @cached_property
    def syncnet(self) -> StableSyncNet:
        return filled(StableSyncNet(self.about["syncnet_model"]))

    @property
    def alpha(self) -> float | None:
        return self.about["mixed_noise_alpha"] if self.about["use_mixed_noise"] else None

    @cached_property
    def weights(self) -> LossWeights:
        given = self.about["loss_weights"]
        return LossWeights(*(given[f"{name}_loss_weight"] for name in WEIGHTS))

    def unet(self, stage: int) -> UNet3DConditionModel:
        config = self.about["unet_config"]
        return filled(UNet3DConditionModel(**config, use_motion_module=stage == 2))

    def step(self, stage: int) -> UNetStep:
        of_faces = {"lpips": self.lpips, "trepa": self.video_mae, "syncnet": self.syncnet}
        return UNetStep(
            self.unet(stage),
            self.vae,
            self.keep,
            weights=self.weights,
            noise_alpha=self.alpha,
            sync_side=self.about["syncnet_resolution"],
            **(of_faces if stage == 2 else {}),
        )


def _as_in_torchvision(key: str) -> str:
    """LPIPS 0.1.4's net.slice3.10.weight -> trunk.features.10.weight."""
    if key.startswith("net."):
        return f"trunk.features.{key.split('.', 2)[2]}"
    return f"layers.{key}"
