"""The work of a GPU for a chunk of frames, stage by stage, from tensors to tensors.

The same arithmetic as latentsync.generate.diffusion.sampling (a test compares them), arranged for a
GPU: all shapes are fixed, a denoising step and its network are one function, and nothing makes the
CPU wait. Networks have random weights, which run as fast as the published ones.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu_vae import LATENTS, PlainVAE
from benchmarks.random_networks import random_weights
from GFPGAN.network import SIZE, GFPGANv1Clean
from latentsync.errors import ConfigError
from latentsync.generate.coding import LATENT_SCALE
from latentsync.generate.diffusion.sampling import SCHEDULE
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime.graphs import Captured, Pool, capture
from latentsync.runtime.memory import set_memory_format

M = TypeVar("M", bound=nn.Module)
Run = Callable[..., tuple[Tensor, ...]]

MODES = ("eager", "channels_last", "graph", "compile")
"""Each mode adds to the one before it: plain PyTorch; weights of convolutions in channels-last
layout; every stage recorded as a CUDA graph; kernels fused by torch.compile."""
TOKENS, AUDIO = 50, 384  # of one frame's window, and numbers in each
GUIDANCE = 1.5
LATENT_STEP = 8  # pixels to a latent


@dataclass(frozen=True, slots=True)
class Setting:
    """size: R. frames: of a chunk. faces: restored in one batch, 0: none. small: narrow networks,
    for any size; the restorer stays as it is."""

    device: torch.device
    dtype: torch.dtype
    size: int
    frames: int = 16
    faces: int = 16
    small: bool = False

    @property
    def side(self) -> int:
        """r, side of the latents."""
        return self.size // LATENT_STEP


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    unet: UNet3DConditionModel
    vae: PlainVAE
    restorer: GFPGANv1Clean | None


def make_models(setting: Setting) -> Models:
    def unet() -> UNet3DConditionModel:
        widths = (32, 64, 96, 96) if setting.small else (320, 640, 1280, 1280)
        return UNet3DConditionModel(block_out_channels=widths)

    def vae() -> PlainVAE:
        return PlainVAE(widths=(16, 32, 32, 32), groups=8) if setting.small else PlainVAE()

    where = setting.device, setting.dtype
    restorer = random_weights(GFPGANv1Clean, *where) if setting.faces else None
    return Models(random_weights(unet, *where), random_weights(vae, *where), restorer)


def ddim(steps: int) -> Tensor:
    """(steps, 3) float32 on the CPU: a time step t, and a, b of: next x = a * x + b * noise."""
    count = SCHEDULE["num_train_timesteps"]
    low, high = SCHEDULE["beta_start"] ** 0.5, SCHEDULE["beta_end"] ** 0.5
    kept = (1 - torch.linspace(low, high, count, dtype=torch.float64) ** 2).cumprod(0)
    stride = count // steps
    times = torch.arange(steps).flip(0) * stride + SCHEDULE["steps_offset"]
    here, after = kept[times], kept[(times - stride).clamp(min=0)]
    grow = (after / here).sqrt()
    return torch.stack([times, grow, (1 - after).sqrt() - grow * (1 - here).sqrt()], 1).float()


def encoder(vae: PlainVAE, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    def encode(images: Tensor, vae_noise: Tensor) -> Tensor:
        """(N, 3, R, R) RGB [-1, 1], (N, 4, r, r) normal -> latents (N, 4, r, r)."""
        mean, deviation = vae.moments(images.to(dtype))
        return (mean + deviation * vae_noise.to(dtype)) * LATENT_SCALE

    return encode


def decoder(vae: PlainVAE, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    def decode(latents: Tensor) -> Tensor:
        """(N, 4, r, r) float32 -> (N, 3, R, R) float32 RGB, about [-1, 1]."""
        return vae.decode((latents / LATENT_SCALE).to(dtype)).float()

    return decode


def stepper(unet: UNet3DConditionModel, *, guided: bool) -> Callable[..., tuple[Tensor, Tensor]]:
    def step(
        x: Tensor, row: Tensor, conditions: Tensor, audio: Tensor, cached: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x: (1, 4, F, r, r) float32; row: of ddim; conditions: (1, 9, F, r, r); audio: (F, s, c),
        guided: (2 F, s, c), silence first -> the next x, and what the step cache holds."""
        sample = torch.cat([x.to(conditions), conditions], dim=1)
        sample = torch.cat([sample, sample]) if guided else sample
        noise, deep = unet.step(sample, row[0], audio, cached=cached)
        return advanced(x, row, noise), deep

    return step


def advanced(x: Tensor, row: Tensor, noise: Tensor) -> Tensor:
    """noise: (1, 4, F, r, r), or (2, ...) with guidance: without and with audio -> the next x."""
    noise = noise.float()
    if len(noise) == 2:
        silent, speaking = noise.chunk(2)
        noise = silent + GUIDANCE * (speaking - silent)
    return row[1] * x + row[2] * noise


class Chain:
    """The models in one of MODES, ready for chunks of one shape.

    batch: images that the VAE processes at once; a divisor of the frames of a chunk.
    """

    def __init__(self, models: Models, setting: Setting, *, mode: str, batch: int) -> None:
        self.models, self.setting, self.mode, self.batch = models, setting, mode, batch
        order = torch.contiguous_format if mode == "eager" else torch.channels_last
        for network in (models.unet, models.vae, models.restorer):
            if network is not None:
                set_memory_format(network, order)
        self._pool = Pool()
        self._steppers: dict[bool, tuple[Run, Run]] = {}
        self._tables: dict[int, Tensor] = {}
        r, side = setting.size, setting.side
        latents = self.zeros(batch, LATENTS, side, side)
        images = self.zeros(batch, 3, r, r)
        self.encode = self.prepared(encoder(models.vae, setting.dtype), images, latents)
        self.decode = self.prepared(decoder(models.vae, setting.dtype), latents)
        self.restore: Run | None = None
        if models.restorer is not None:
            faces = self.zeros(setting.faces, 3, SIZE, SIZE).to(setting.dtype)
            self.restore = self.prepared(models.restorer, faces)
        # The lower half is generated: (R, R), 1 where the face stays.
        self.keep = (torch.arange(r, device=setting.device) < r // 2).float()[:, None].expand(r, r)

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self.setting.device)

    def prepared(self, function: Callable[..., Tensor | tuple[Tensor, ...]], *like: Tensor) -> Run:
        if self.mode in ("eager", "channels_last"):
            return Captured(function, like)
        if self.mode == "compile":
            function = torch.compile(function, dynamic=False)
        return capture(function, *like, pool=self._pool)

    def steppers(self, *, guided: bool) -> tuple[Run, Run]:
        """A full step, and a cached one, which also takes the last full step's second result."""
        if guided not in self._steppers:
            own, step = self.setting, stepper(self.models.unet, guided=guided)
            count, side, dtype = own.frames, own.side, own.dtype
            inputs = (
                self.zeros(1, LATENTS, count, side, side),
                ddim(1)[0].to(own.device),
                self.zeros(1, 1 + 2 * LATENTS, count, side, side).to(dtype),
                self.zeros((1 + guided) * count, TOKENS, AUDIO).to(dtype),
            )
            whole = self.prepared(step, *inputs)
            deep = whole(*inputs)[1]
            self._steppers[guided] = whole, self.prepared(step, *inputs, deep)
        return self._steppers[guided]

    def table(self, steps: int) -> Tensor:
        """Kept on the device after the first call: copying it each time would make the CPU wait."""
        if steps not in self._tables:
            self._tables[steps] = ddim(steps).to(self.setting.device)
        return self._tables[steps]

    @torch.no_grad()
    def conditions(self, crops: Tensor, vae_noise: Tensor) -> Tensor:
        """crops: (F, 3, R, R). vae_noise: (2 F, 4, r, r), masked first -> (1, 9, F, r, r)."""
        images = torch.cat([crops * self.keep, crops])
        parts = zip(images.split(self.batch), vae_noise.split(self.batch), strict=True)
        masked, whole = torch.cat([self.encode(*part)[0] for part in parts]).chunk(2)
        mask = self.keep[::LATENT_STEP, ::LATENT_STEP].to(masked).expand(len(crops), 1, -1, -1)
        return torch.cat([mask, masked, whole], dim=1).transpose(0, 1)[None]

    @torch.no_grad()
    def denoised(
        self,
        conditions: Tensor,
        audio: Tensor,
        initial: Tensor,
        *,
        steps: int,
        interval: int,
        guided: bool,
    ) -> Tensor:
        """audio: (F, s, c). initial: (1, 4, 1, r, r). interval: see sampling.denoise."""
        whole, cached = self.steppers(guided=guided)
        audio = torch.cat([torch.zeros_like(audio), audio]) if guided else audio
        x = initial.expand(-1, -1, conditions.shape[2], -1, -1)
        deep = conditions  # unused: the first step is a full one
        for number, row in enumerate(self.table(steps)):
            common = x, row, conditions, audio
            if number % interval == 0:
                x, deep = whole(*common)
            else:
                x, _ = cached(*common, deep)
        return x

    @torch.no_grad()
    def decoded(self, latents: Tensor) -> Tensor:
        """latents: (1, 4, F, r, r) -> (F, 3, R, R) float32."""
        frames = latents[0].transpose(0, 1)
        return torch.cat([self.decode(part)[0] for part in frames.split(self.batch)])

    @torch.no_grad()
    def composited(self, decoded: Tensor, crops: Tensor) -> Tensor:
        return decoded * (1 - self.keep) + crops * self.keep

    @torch.no_grad()
    def restored(self, faces: Tensor) -> Tensor:
        """faces: (F, 3, R, R) float32 -> the restored ones, at the restorer's size."""
        if self.restore is None:
            return faces
        faces = faces[: self.setting.faces].clamp(-1, 1)  # as they come out of a frame
        if faces.shape[-1] != SIZE:
            faces = F.interpolate(faces, (SIZE, SIZE), mode="bilinear", align_corners=False)
        return self.restore(faces)[0].float().clamp(-1, 1)


def check_mode(mode: str, device: torch.device) -> None:
    """Raises ConfigError if the mode is not available here."""
    needs = mode == "compile" and device.type == "cuda"
    if needs and importlib.util.find_spec("triton") is None:
        raise ConfigError("--modes", mode, "install triton, or leave compile out")
