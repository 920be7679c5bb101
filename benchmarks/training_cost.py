"""What one training step costs, counted without a GPU: the real step on PyTorch's meta device.

Every tensor that lives is counted, and every multiplication. Autocast does not exist there: all
networks run in bf16, and what the optimizer holds in float32 is added by arithmetic.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from latentsync.generate.model_spec import CHANNELS, LATENT_STEP, TOKENS
from latentsync.generate.vae import make_vae
from latentsync.models import attention as attention_module
from latentsync.models.lpips import Lpips, LpipsLayers, VggTrunk
from latentsync.models.recompute import recompute
from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.models.unet import UNet3DConditionModel
from latentsync.models.video_mae import VideoMae
from latentsync.training import unet_step as step_module
from latentsync.training.batch import UNetBatch
from latentsync.training.losses import perceptual, recon, sync, trepa
from latentsync.training.trainable import ALL, EFFICIENT, STAGE2, choose
from latentsync.training.unet_step import LossWeights, Problem, UNetStep

FRAMES, AUDIO = 16, 384
TERA, GB = 1e12, 1e9


@dataclass(frozen=True, slots=True)
class Stage:
    """One of LatentSync's: which losses, and what trains."""

    name: str
    side: int
    pixels: bool
    trainable: Any = ALL
    motion: bool = False
    decoder_only: bool = False
    trepa: bool = True


STAGES = (
    Stage("stage 1", 256, pixels=False),
    Stage("stage 1", 512, pixels=False),
    Stage("stage 2", 256, pixels=True, trainable=STAGE2, motion=True),
    Stage("stage 2", 512, pixels=True, trainable=STAGE2, motion=True),
    Stage(
        "stage 2, efficient",
        256,
        pixels=True,
        trainable=EFFICIENT,
        motion=True,
        decoder_only=True,
        trepa=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """Numbers of parameters; activations: the most bytes that lived at once beside weights and
    their gradients. flops: of one step of one clip, the second forward pass included."""

    unet: int
    trained: int
    frozen: int
    activations: int
    flops: int

    @property
    def weights_bytes(self) -> int:
        """float32, and the copies that autocast makes in 16 bits."""
        return 4 * self.unet + 2 * self.unet

    @property
    def optimizer_bytes(self) -> int:
        """float32: gradients, and Adam's two moments."""
        return (4 + 8) * self.trained

    @property
    def frozen_bytes(self) -> int:
        return 2 * self.frozen

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.optimizer_bytes + self.frozen_bytes + self.activations

    def seconds(self, peak_flops: float, share: float) -> float:
        """share: of a GPU's peak that is reached."""
        return self.flops / (peak_flops * share)


def make_step(stage: Stage, device: str) -> UNetStep:
    """With initial weights, in bf16 on meta."""
    dtype = torch.bfloat16 if device == "meta" else torch.float32
    with torch.device(device):
        unet = UNet3DConditionModel(
            use_motion_module=stage.motion, motion_module_decoder_only=stage.decoder_only
        ).to(dtype)
        vae = nn.Module.to(make_vae(), torch.bfloat16)
        lpips = Lpips(VggTrunk(), LpipsLayers()) if stage.pixels else None
        mae = VideoMae().to(torch.bfloat16) if stage.pixels and stage.trepa else None
        syncnet = StableSyncNet().to(torch.bfloat16) if stage.pixels else None
        keep = torch.ones(stage.side, stage.side)
    recompute(unet)
    for network in (mae, syncnet):
        if network is not None:
            recompute(network)
    choose(unet, stage.trainable)
    weights = LossWeights() if stage.trepa else LossWeights(trepa=0)
    return UNetStep(unet, vae, keep, weights=weights, lpips=lpips, trepa=mae, syncnet=syncnet)


def count(stage: Stage) -> Counted:
    """Takes seconds of a CPU, and no memory."""
    step = make_step(stage, "meta")
    step._schedule.to(torch.device("meta"))
    with _as_on_a_gpu():
        live = _Live()
        with live, FlopCounterMode(display=False) as flops:
            _one_step(step, stage)
    unet = step.model
    sizes = [(p.numel(), p.requires_grad) for p in unet.parameters()]
    frozen = sum(p.numel() for network in step._frozen() for p in network.parameters())
    return Counted(
        unet=sum(n for n, _ in sizes),
        trained=sum(n for n, trains in sizes if trains),
        frozen=frozen,
        activations=live.most,
        flops=flops.get_total_flops(),
    )


def _one_step(step: UNetStep, stage: Stage) -> None:
    side = stage.side // LATENT_STEP
    with torch.device("meta"):
        faces = torch.empty(1, FRAMES, 3, stage.side, stage.side)
        audio = torch.empty(1, FRAMES, TOKENS[AUDIO], AUDIO)
        batch = UNetBatch(
            faces, faces, audio, torch.empty(1, 1, 80, 52), torch.zeros(1), ("counted",)
        )
        sample = torch.empty(1, CHANNELS["in_channels"], FRAMES, side, side)
        noise, times = torch.empty(1, 4, FRAMES, side, side), torch.zeros(1, dtype=torch.int64)
    for _ in range(3):  # faces, masked faces and reference
        step._encoded(faces, noise.movedim(1, 2))
    problem = Problem(sample, noise, times)
    terms = step.terms(step.predict(step.model, problem, audio), problem, batch)
    step._summed(terms).total.backward()


class _Live(TorchDispatchMode):
    """Counts the bytes of all tensors that are made within it and alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, Tensor):
                self._add(one.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        name, size = storage._cdata, storage.nbytes()
        if name in self._known:
            return
        self._known.add(name)
        weakref.finalize(storage, self._remove, name, size)
        self.now += size
        self.most = max(self.most, self.now)

    def _remove(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size


@contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """Attention does not keep its matrices there; and meta knows no autocast to switch off."""
    modules = (perceptual, recon, sync, trepa, step_module)
    having = [module for module in modules if hasattr(module, "as_given")]
    with (
        _patched_all(having),
        patch.object(attention_module.F, "scaled_dot_product_attention", _flash),
    ):
        yield


@contextmanager
def _patched_all(modules: list[Any]) -> Iterator[None]:
    if not modules:
        yield
        return
    with (
        patch.object(modules[0], "as_given", lambda _device: nullcontext()),
        _patched_all(modules[1:]),
    ):
        yield


def _flash(q: Tensor, k: Tensor, v: Tensor, *_args: object, **_kwargs: object) -> Tensor:
    found: Tensor = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)[0]
    return found
