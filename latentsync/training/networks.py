"""The frozen networks of a U-Net's training: the VAE, and those whose losses are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from latentsync.generate.vae import read_autoencoder
from latentsync.models.lpips import Lpips, LpipsLayers, VggTrunk
from latentsync.models.recompute import recompute
from latentsync.models.stable_syncnet import SIDE, StableSyncNet
from latentsync.models.video_mae import VideoMae
from latentsync.training.settings.load import loss_network
from latentsync.training.settings.schema import PIXELS, SyncNetTraining, UNetTraining
from latentsync.training.tiny import PixelVae
from latentsync.weights.find import find_all
from latentsync.weights.load import build
from latentsync.weights.manifest import STABLE_SYNCNET, VAE
from latentsync.weights.model_file import ModelFile
from latentsync.weights.training_files import LPIPS, VGG16, VIDEOMAE

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class FrozenFiles:
    """paths: by the keys of the networks that are wanted. syncnet: the settings of that network."""

    paths: dict[str, Path]
    syncnet: SyncNetTraining | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """None: the loss is not wanted. sync_side: of the faces that syncnet was trained with."""

    vae: Any
    lpips: Lpips | None = None
    trepa: VideoMae | None = None
    syncnet: StableSyncNet | None = None
    sync_side: int = SIDE


def frozen_files(settings: UNetTraining) -> FrozenFiles:
    """Finds all weights that the settings need.

    Raises one CheckpointError naming every missing file, and ConfigError.
    """
    ckpt, run = settings.ckpt, settings.run
    wanted: list[tuple[ModelFile, str]] = []
    if ckpt.vae != PIXELS:
        wanted.append((VAE, ckpt.vae))
    syncnet = loss_network(settings) if settings.needs_mel and run.sync_loss_weight else None
    if syncnet is not None:
        wanted.append((STABLE_SYNCNET, syncnet.ckpt.inference_ckpt_path))
    if run.pixel_space_supervise and run.perceptual_loss_weight:
        wanted += [(VGG16, ckpt.vgg16), (LPIPS, "")]
    if run.pixel_space_supervise and run.trepa_loss_weight:
        wanted.append((VIDEOMAE, ckpt.videomae))
    named = [(model, path or None) for model, path in wanted]
    found = find_all(named, folders=settings.training.weights_folders)
    keys = [model.key for model, _ in wanted]
    return FrozenFiles(dict(zip(keys, found, strict=True)), syncnet)


def load_frozen(settings: UNetTraining, files: FrozenFiles, precision: str) -> Frozen:
    """On the CPU, frozen. precision: fp32, bf16 or fp16, of their weights; LPIPS keeps float32.

    Raises CheckpointError.
    """
    paths, dtype = files.paths, DTYPES[precision]
    vae: Any = PixelVae()
    if VAE.key in paths:
        vae = read_autoencoder(paths[VAE.key], CPU, dtype)
    lpips, trepa, syncnet, side = None, None, None, SIDE
    if VGG16.key in paths:
        trunk = build(VggTrunk, VGG16, paths[VGG16.key], CPU, part="features.")
        lpips = Lpips(trunk, build(LpipsLayers, LPIPS, paths[LPIPS.key], CPU))
    if VIDEOMAE.key in paths:
        trepa = build(VideoMae, VIDEOMAE, paths[VIDEOMAE.key], CPU, dtype=dtype)
    if files.syncnet is not None:
        make = partial(StableSyncNet, files.syncnet.model)
        syncnet = build(make, STABLE_SYNCNET, paths[STABLE_SYNCNET.key], CPU, dtype=dtype)
        side = files.syncnet.data.resolution
    for network in (trepa, syncnet):
        if network is not None:
            recompute(network, settings.run.enable_gradient_checkpointing)
    return Frozen(vae, lpips, trepa, syncnet, side)
