"""LatentSync as a generator: networks, noise and scheduler behind one call."""

from __future__ import annotations

import copy
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from latentsync.generate import coding
from latentsync.generate.base import WHISPER, ChunkMouths
from latentsync.generate.coding import Autoencoder, Check
from latentsync.generate.diffusion import sampling
from latentsync.generate.diffusion.guidance import guided_steps
from latentsync.generate.diffusion.kind import NAME
from latentsync.generate.diffusion.lora import UsedLora, used_lora
from latentsync.generate.diffusion.noise import (
    Noise,
    UpstreamNoise,
    noise_by_chunk,
    noise_in_order,
    unprepared,
)
from latentsync.generate.diffusion.overlap import Averager, Edge, Recorder
from latentsync.generate.diffusion.sampling import Adjust, Denoiser
from latentsync.generate.diffusion.unet_runner import load_unet
from latentsync.generate.memory import enough_memory
from latentsync.generate.model_spec import (
    LATENT_STEP,
    FaceModel,
    face_model,
    model_paths,
    unet_file,
    vae_wanted,
)
from latentsync.generate.vae import load_vae
from latentsync.runtime.execution import check_finite, output_dtype
from latentsync.runtime.memory import to_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from latentsync.generate.base import GenerationRequest
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config, GenerateConfig
    from latentsync.types import Chunk

logger = logging.getLogger(__name__)


class LatentSync:
    """See latentsync.generate.base.LipGenerator, Preparing and Overlapping. No state between calls.

    For any number of videos, from any number of threads: prepare() returns one for a video.
    upstream: whether noise is sampled in LatentSync's own order, for the whole video. mask: (R, R)
    float in [0, 1], 1 where the face is generated. seed: in use, for the report. checkpoint,
    licence: of the U-Net. files: all that its mouths depend on. facts: of a LoRA, for the report;
    label: name with the LoRA's.
    """

    name = NAME
    audio: str | None = WHISPER

    def __init__(
        self,
        unet: Denoiser,
        vae: Autoencoder,
        *,
        settings: GenerateConfig,
        model: FaceModel,
        execution: Execution,
        mask: np.ndarray,
        seed: int,
        checkpoint: Path,
        files: Sequence[Path] = (),
        lora: UsedLora | None = None,
        upstream: bool = False,
    ) -> None:
        self.size, self.chunk_frames = model.resolution, model.frames
        self.overlap = settings.overlap
        self.seed, self.checkpoint, self.licence = seed, checkpoint, str(unet_file(model).licence)
        self.files = tuple(files) or (checkpoint,)
        self.facts = {} if lora is None else {"lora": lora.facts}
        self.label = NAME if lora is None else f"{NAME}, {lora.label}"
        self._unet, self._vae, self._settings, self._model = unet, vae, settings, model
        self._keep, self._execution = torch.from_numpy(1 - mask), execution
        self._check: Check = coding.never
        self._side = model.resolution // LATENT_STEP
        self._upstream = upstream
        self._noise_of = (
            unprepared if upstream else noise_by_chunk(seed, self._side, execution.device)
        )

    def prepare(self, request: GenerationRequest) -> LatentSync:
        """Returns a generator for one video that shares the networks and the seed.

        It calls the request's check before every denoising step and every batch of the VAE.
        """
        other = copy.copy(self)
        other._check = request.check
        if self._upstream:
            noise = UpstreamNoise(
                self.seed,
                request.lengths,
                self._side,
                device=self._execution.device,
                dtype=output_dtype(self._execution),
            )
            other._noise_of = noise_in_order(noise)
        return other

    def __call__(self, chunk: Chunk) -> Tensor:
        """Raises ConfigError: out of GPU memory, or a chunk that upstream's noise was not prepared
        for; CheckpointError: NaN or infinity in a mouth; RuntimeError: upstream's noise without
        prepare()."""
        self._verify(chunk)
        with self._enough_memory():
            conditions, initial = self._conditions(chunk)
            latents = self._denoised(chunk, conditions, initial)
            return self._mouths(chunk, latents, slice(None))

    def anchor(self, chunk: Chunk, *, first: bool, last: bool) -> ChunkMouths:
        """See latentsync.generate.base.Overlapping. Raises as __call__ does."""
        self._verify(chunk)
        frames = len(np.unique(chunk.frames)) or len(chunk.crops)  # padding comes after them
        head, tail = slice(self.overlap * first), slice(frames - self.overlap * last, frames)
        recorder = Recorder(head, tail)
        with self._enough_memory():
            conditions, initial = self._conditions(chunk)
            latents = self._denoised(chunk, conditions, initial, adjust=recorder)
            mouths = self._mouths(chunk, latents, slice(head.stop, tail.start))
        edges = [
            Edge(conditions[:, :, some].clone(), kept)
            for some, kept in zip((head, tail), recorder.predictions, strict=True)
        ]
        return ChunkMouths(mouths, *edges)

    def bridge(self, chunk: Chunk, before: Edge, after: Edge | None) -> Tensor:
        """See latentsync.generate.base.Overlapping. Raises as __call__ does.

        The shared frames' conditions are the anchors', and with them the noise in them.
        """
        self._verify(chunk)
        with self._enough_memory():
            conditions, initial = self._conditions(chunk, before, after)
            averager = Averager(before, after)
            latents = self._denoised(chunk, conditions, initial, adjust=averager)
            return self._mouths(chunk, latents, slice(None))

    def reconstruct(self, crops: Tensor) -> Tensor:
        """See latentsync.generate.base.Reconstructing."""
        with self._enough_memory():
            return coding.reconstruct(self._vae, crops, **self._batches).cpu()

    @property
    def _batches(self) -> Any:
        return {"vae_batch": self._settings.vae_batch, "check": self._check}

    def _conditions(
        self, chunk: Chunk, before: Edge | None = None, after: Edge | None = None
    ) -> tuple[Tensor, Tensor]:
        """-> conditions of the U-Net, initial noise. before, after: with the conditions of the
        first and of the last frames; None: they are encoded like the others."""
        noise = self._noise_of(chunk)
        begin, end = (0 if edge is None else len(edge) for edge in (before, after))
        inside = slice(begin, len(chunk.crops) - end)
        parts = [] if before is None else [before.conditions]
        if inside.start < inside.stop:
            crops = chunk.crops[inside].to(self._vae.device)
            own = Noise(noise.initial, noise.masked[inside], noise.reference[inside])
            parts.append(sampling.prepare(self._vae, crops, self._keep, own, **self._batches))
        if after is not None:
            parts.append(after.conditions)
        return torch.cat(parts, dim=2), noise.initial

    def _denoised(
        self,
        chunk: Chunk,
        conditions: Tensor,
        initial: Tensor,
        *,
        adjust: Adjust = sampling.unadjusted,
    ) -> Tensor:
        settings = self._settings
        return sampling.denoise(
            self._unet,
            conditions,
            chunk.audio,
            initial,
            steps=settings.steps,
            guidance=settings.guidance,
            guidance_interval=settings.guidance_interval,
            cache_interval=max(settings.step_cache, 1),
            scheduler=settings.scheduler,
            check=self._check,
            adjust=adjust,
        )

    def _mouths(self, chunk: Chunk, latents: Tensor, some: slice) -> Tensor:
        """Of some of the chunk's frames; each is decoded once."""
        crops = chunk.crops[some]
        if not len(crops):
            return crops
        first, which = _first_of_each(chunk, some)
        decoded = sampling.decode(self._vae, latents[:, :, some][:, :, first], **self._batches)
        check_finite(decoded, "a generated mouth", f"chunk {chunk.index}", self._execution)
        crops = crops.to(self._vae.device)
        return to_host(sampling.composite(decoded[which], crops, self._keep))

    def _enough_memory(self) -> Any:
        settings = self._settings
        return enough_memory(
            f"data.resolution={self.size}, generate.vae_batch={settings.vae_batch}, "
            f"generate.guidance={settings.guidance:g}",
            "set generate.vae_batch=1, or generate.guidance=1, or runtime.precision=bf16, "
            "or use 256 pixels",
        )

    def _verify(self, chunk: Chunk) -> None:
        """Raises ValueError for shapes that the networks would reject late or not at all."""
        frames, side = len(chunk.crops), self.size
        if not 0 < frames <= self.chunk_frames or chunk.crops.shape[1:] != (3, side, side):
            wanted = f"1 to {self.chunk_frames} crops (3, {side}, {side})"
            raise ValueError(f"a chunk has {wanted}, not {tuple(chunk.crops.shape)}")
        if chunk.audio.dim() != 3 or chunk.audio.shape[::2] != (frames, self._model.audio):
            wanted = f"audio ({frames}, tokens, {self._model.audio})"
            raise ValueError(f"this chunk needs {wanted}, not {tuple(chunk.audio.shape)}")


def _first_of_each(chunk: Chunk, some: slice) -> tuple[Tensor, Tensor]:
    """-> first position of each output frame in a part of the chunk; for each position, which of
    those.

    Padding frames are denoised with the others but not decoded.
    """
    numbers = (chunk.frames if len(chunk.frames) else np.arange(len(chunk.crops)))[some]
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return torch.from_numpy(first), torch.from_numpy(which)


def load(config: Config, execution: Execution, *, mask: np.ndarray) -> LatentSync:
    """mask: see latentsync.generate.table.load_generator.

    Raises ConfigError (settings) and CheckpointError (weights that do not fit, or all that are
    missing). Nothing is downloaded.
    """
    model, settings = face_model(config), config.generate
    if mask.shape != (model.resolution, model.resolution):
        size = model.resolution
        raise ValueError(f"the mask must be ({size}, {size}), not {mask.shape}")
    paths = model_paths(config)
    seed = settings.seed if settings.seed >= 0 else secrets.randbits(63)
    logger.info("seed %d", seed)
    lora = used_lora(settings, paths.unet)
    unet = load_unet(config.model, model, paths.unet, execution, lora)
    guidance = settings.guidance, settings.guidance_interval, settings.step_cache
    for guided in {*guided_steps(settings.steps, *guidance)}:
        unet.prepare(model, guided=guided)
    vae = load_vae(paths.vae, execution, vae_wanted(config)[0])
    vae.prepare(model.resolution, settings.vae_batch)
    return LatentSync(
        unet,
        vae,
        settings=settings,
        model=model,
        execution=execution,
        mask=mask,
        seed=seed,
        checkpoint=paths.unet,
        files=[*paths, *([] if lora is None else [lora.path])],
        lora=lora,
        upstream=config.as_upstream,
    )
