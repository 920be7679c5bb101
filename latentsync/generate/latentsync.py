"""LatentSync as a generator: the networks, the noise and the sampler behind one call."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import CheckpointError, ConfigError
from latentsync.generate import sampling
from latentsync.generate.base import WHISPER
from latentsync.generate.denoiser import load_unet
from latentsync.generate.sampling import Autoencoder, Denoiser, Noise
from latentsync.generate.settings import (
    LATENT_STEP,
    FaceModel,
    face_model,
    model_paths,
    tensor_format,
    unet_file,
)
from latentsync.generate.vae import load_vae

if TYPE_CHECKING:
    from latentsync.generate.base import LipGenerator
    from latentsync.runtime.execution import Execution
    from latentsync.schema import Config, GenerateConfig
    from latentsync.types import Chunk

logger = logging.getLogger(__name__)

NoiseOf = Callable[["Chunk"], Noise]


class LatentSync:
    """See latentsync.generate.base.LipGenerator.

    mask: (R, R) float in [0, 1], 1 where the face is generated. seed: the one in use, for the
    report. checkpoint, licence: of the U-Net.
    """

    name = "latentsync"
    audio: str | None = WHISPER

    def __init__(
        self,
        unet: Denoiser,
        vae: Autoencoder,
        *,
        settings: GenerateConfig,
        model: FaceModel,
        mask: np.ndarray,
        noise_of: NoiseOf,
        seed: int,
        checkpoint: Path,
    ) -> None:
        self.size, self.chunk_frames = model.resolution, model.frames
        self.seed, self.checkpoint, self.licence = seed, checkpoint, str(unet_file(model).licence)
        self._unet, self._vae, self._settings, self._model = unet, vae, settings, model
        self._keep = torch.from_numpy(1 - mask)
        self._noise_of = noise_of

    def __call__(self, chunk: Chunk) -> Tensor:
        """Raises ConfigError: out of GPU memory, or a chunk that upstream's order has no noise
        for; CheckpointError: NaN or infinity in a mouth."""
        self._check(chunk)
        noise = self._noise_of(chunk)
        with self._enough_memory():
            crops = chunk.crops.to(self._vae.device)
            decoded = self._decoded(chunk, crops, noise)
        if not decoded.isfinite().all():
            raise CheckpointError(
                "NaN or infinity in a generated mouth",
                f"chunk {chunk.index}",
                "set runtime.precision=fp32, or download the weights again",
            )
        return sampling.composite(decoded, crops, self._keep).cpu()

    def redrawn(self, crops: Tensor) -> Tensor:
        """See latentsync.generate.base.Redrawing."""
        with self._enough_memory():
            return sampling.redraw(self._vae, crops, vae_batch=self._settings.vae_batch).cpu()

    def _decoded(self, chunk: Chunk, crops: Tensor, noise: Noise) -> Tensor:
        own = self._settings
        conditions = sampling.prepare(self._vae, crops, self._keep, noise, vae_batch=own.vae_batch)
        latents = sampling.denoise(
            self._unet,
            conditions,
            chunk.audio,
            noise.initial,
            steps=own.steps,
            guidance=own.guidance,
            cache_interval=max(own.step_cache, 1),
            scheduler=own.scheduler,
        )
        first, which = _first_of_each(chunk)
        decoded = sampling.decode(self._vae, latents[:, :, first], vae_batch=own.vae_batch)
        return decoded[which]

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            own = self._settings
            raise ConfigError(
                "not enough GPU memory",
                f"data.resolution={self.size}, generate.vae_batch={own.vae_batch}, "
                f"generate.guidance={own.guidance:g}",
                "set generate.vae_batch=1, or guidance 1, or runtime.precision=bf16, "
                "or use 256 pixels",
            ) from None

    def _check(self, chunk: Chunk) -> None:
        """A caller's mistake, which the networks would notice late or not at all."""
        frames, side = len(chunk.crops), self.size
        if not 0 < frames <= self.chunk_frames or chunk.crops.shape[1:] != (3, side, side):
            wanted = f"1 to {self.chunk_frames} crops (3, {side}, {side})"
            raise ValueError(f"a chunk has {wanted}, not {tuple(chunk.crops.shape)}")
        if chunk.audio.dim() != 3 or chunk.audio.shape[::2] != (frames, self._model.audio):
            wanted = f"audio ({frames}, tokens, {self._model.audio})"
            raise ValueError(f"this chunk needs {wanted}, not {tuple(chunk.audio.shape)}")


def _first_of_each(chunk: Chunk) -> tuple[Tensor, Tensor]:
    """Where each frame of the film first lies in the chunk; which of those each place shows.

    What a chunk is filled up with counts in the U-Net; nobody looks at it.
    """
    numbers = chunk.frames if len(chunk.frames) else np.arange(len(chunk.crops))
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return torch.from_numpy(first), torch.from_numpy(which)


class UpstreamNoise:
    """Noise as upstream draws it: what a chunk gets depends on the lengths of those before it.

    frame_counts: of every chunk of the video, by its number; 0: there is no such chunk. side: r.
    Chunks may come in any order; a step back, as for a second try, draws anew from the first on.
    """

    def __init__(
        self,
        seed: int,
        frame_counts: Sequence[int],
        side: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._counts = tuple(frame_counts)
        self._draw = partial(
            sampling.upstream_noise, seed, self._counts, side, device=device, dtype=dtype
        )
        self._drawn, self._next = self._draw(), 0

    def __call__(self, chunk: Chunk) -> Noise:
        """Raises ConfigError where the video has no such chunk, or one of another length."""
        frames, index = len(chunk.crops), chunk.index
        due = self._counts[index] if index < len(self._counts) else 0
        if frames != due:
            raise ConfigError(
                "noise in upstream's order depends on the length of every chunk",
                f"chunk {index} of {frames} frames, where {due} were laid out",
                "lay the video out again, or use noise per chunk",
            )
        if index < self._next:
            self._drawn, self._next = self._draw(), 0
        passed = index - self._next
        self._next = index + 1
        return next(islice(self._drawn, passed, None))


def load(
    config: Config,
    execution: Execution,
    *,
    mask: np.ndarray,
    frame_counts: Sequence[int] | None = None,
) -> LipGenerator:
    """mask, frame_counts: see latentsync.generate.base.load_generator.

    Raises ConfigError (settings) and CheckpointError (weights missing, all at once, or not
    fitting). The network is never asked for anything.
    """
    model, own = face_model(config), config.generate
    if mask.shape != (model.resolution, model.resolution):
        raise ValueError(f"the mask of {model.resolution} pixels is {mask.shape}")
    paths = model_paths(config)
    seed = own.seed if own.seed >= 0 else secrets.randbits(63)
    logger.info("seed %d", seed)
    noise_of = _noise_source(own, seed, model, execution, frame_counts=frame_counts)
    unet = load_unet(config.model, model, paths.unet, execution)
    unet.prepare(model, guided=own.guidance > 1)
    vae = load_vae(paths.vae, execution)
    vae.prepare(model.resolution, own.vae_batch)
    return LatentSync(
        unet,
        vae,
        settings=own,
        model=model,
        mask=mask,
        noise_of=noise_of,
        seed=seed,
        checkpoint=paths.unet,
    )


def _noise_source(
    own: GenerateConfig,
    seed: int,
    model: FaceModel,
    execution: Execution,
    *,
    frame_counts: Sequence[int] | None,
) -> NoiseOf:
    device, dtype = execution.device, tensor_format(execution)
    side = model.resolution // LATENT_STEP
    if own.noise == "upstream":
        if frame_counts is None:
            remedy = "it needs the whole film's chunks; use per_chunk"
            raise ConfigError("generate.noise", own.noise, remedy)
        return UpstreamNoise(seed, frame_counts, side, device=device, dtype=dtype)
    return lambda chunk: sampling.per_chunk_noise(
        seed, chunk.index, len(chunk.crops), side, device=device
    )
