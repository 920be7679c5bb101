"""MuseTalk 1.5 as a generator: one pass of a U-Net instead of a diffusion, at 256 pixels."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from latentsync.generate import coding
from latentsync.generate.base import NORMED_WHISPER
from latentsync.generate.coding import Autoencoder, Check
from latentsync.generate.memory import enough_memory
from latentsync.generate.model_spec import LATENT_STEP, vae_wanted
from latentsync.generate.musetalk.face_box import face_box, shown_part
from latentsync.generate.musetalk.kind import NAME, SIZE, weights_wanted
from latentsync.generate.musetalk.network import AUDIO, TOKENS, load_unet
from latentsync.generate.musetalk.one_step import inputs, predict
from latentsync.generate.musetalk.references import choose_references
from latentsync.generate.vae import load_vae
from latentsync.runtime.execution import check_finite
from latentsync.runtime.memory import to_host
from latentsync.weights.find import find_all
from latentsync.weights.manifest import MUSETALK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from latentsync.generate.base import Footage, GenerationRequest
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config, GenerateConfig
    from latentsync.types import Alignment, Chunk

CHUNK = 8  # frames; they do not depend on each other
KEPT = 64  # latents of references that are kept: 1 MB

References = Callable[[np.ndarray], Tensor]
"""Numbers (F,) of output frames -> latents (F, 4, r, r) of their references."""


class MuseTalk:
    """See latentsync.generate.base.LipGenerator, Preparing, Boxed and Reconstructing.

    No state between calls but latents of references, in what prepare() returns. Nothing is random.
    mask: (R, R) float in [0, 1], where its pixels may be shown. checkpoint, licence: of the U-Net.
    files: all that its mouths depend on.
    """

    name = NAME
    audio: str | None = NORMED_WHISPER
    audio_width = AUDIO
    size, chunk_frames = SIZE, CHUNK

    def __init__(
        self,
        unet: Callable[[Tensor, Tensor], Tensor],
        vae: Autoencoder,
        *,
        settings: GenerateConfig,
        execution: Execution,
        checkpoint: Path,
        files: Sequence[Path] = (),
    ) -> None:
        own = settings.musetalk
        self.mask = shown_part(SIZE, left=own.left_cheek_width, right=own.right_cheek_width)
        self.checkpoint, self.licence = checkpoint, str(MUSETALK.licence)
        self.files = tuple(files) or (checkpoint,)
        self._unet, self._vae, self._settings, self._execution = unet, vae, settings, execution
        self._check: Check = coding.never
        self._references: References | None = None

    def box(self, faces: Sequence[Alignment]) -> tuple[float, float, float, float]:
        """See latentsync.generate.base.Boxed."""
        own = self._settings.musetalk
        return face_box(faces, shift=own.bbox_shift, margin=own.extra_margin)

    def prepare(self, request: GenerationRequest) -> MuseTalk:
        """Returns a generator for one video that shares the networks, and chooses its references.

        It calls the request's check before every batch.
        """
        other = copy.copy(self)
        other._check = request.check
        generated = np.unique(request.source[request.chunks >= 0])
        chosen = choose_references(request.video, generated)
        # Not a method of other: a cycle would keep the video open until garbage is collected.
        encode = partial(coding.encode, self._vae, **other._batches)
        other._references = _OtherFrames(request.video, request.source, chosen, encode)
        return other

    def __call__(self, chunk: Chunk) -> Tensor:
        """Without prepare() each frame is its own reference, as in upstream's scripts.

        Raises ConfigError: out of GPU memory; CheckpointError: NaN or infinity in a mouth.
        """
        self._verify(chunk)
        numbers = chunk.frames if len(chunk.frames) else np.arange(len(chunk.crops))
        numbers, first, which = np.unique(numbers, return_index=True, return_inverse=True)
        crops, audio = chunk.crops[first], chunk.audio[first]  # padding is generated once
        with self._enough_memory():
            latents = inputs(self._vae, crops, self._referred(numbers, crops), **self._batches)
            batches = zip(*(one.split(CHUNK) for one in (latents, audio)), strict=True)
            made = torch.cat([predict(self._unet, *batch) for batch in batches])
            faces = coding.decode(self._vae, made, **self._batches)
        check_finite(faces, "a generated mouth", f"chunk {chunk.index}", self._execution)
        return to_host(faces)[which]

    def reconstruct(self, crops: Tensor) -> Tensor:
        """See latentsync.generate.base.Reconstructing."""
        with self._enough_memory():
            return coding.reconstruct(self._vae, crops, **self._batches).cpu()

    def _referred(self, numbers: np.ndarray, crops: Tensor) -> Tensor:
        """The latents of the frames' references."""
        if self._references is None:
            return coding.encode(self._vae, crops, **self._batches)
        return self._references(numbers)

    @property
    def _batches(self) -> Any:
        return {"vae_batch": self._settings.vae_batch, "check": self._check}

    def _enough_memory(self) -> Any:
        batch = f"generate.vae_batch={self._settings.vae_batch}"
        return enough_memory(batch, "set generate.vae_batch=1, or runtime.precision=bf16")

    def _verify(self, chunk: Chunk) -> None:
        """Raises ValueError for shapes that the networks would reject late or not at all."""
        frames = len(chunk.crops)
        if not frames or chunk.crops.shape[1:] != (3, SIZE, SIZE):
            wanted = f"crops (3, {SIZE}, {SIZE})"
            raise ValueError(f"a chunk has {wanted}, not {tuple(chunk.crops.shape)}")
        if chunk.audio.shape != (frames, TOKENS, AUDIO):
            wanted = f"audio ({frames}, {TOKENS}, {AUDIO})"
            raise ValueError(f"this chunk needs {wanted}, not {tuple(chunk.audio.shape)}")


class _OtherFrames:
    """The latents of the references of output frames, each read and encoded once. Thread-safe.

    source: (N,) int, the frame of the video that each output frame shows. chosen: frame of the
    video -> its reference.
    """

    def __init__(
        self,
        video: Footage,
        source: np.ndarray,
        chosen: dict[int, int],
        encode: Callable[[Tensor], Tensor],
    ) -> None:
        self._video, self._source, self._chosen, self._encode = video, source, chosen, encode
        self._known: dict[int, Tensor] = {}
        self._turn = threading.Lock()

    def __call__(self, numbers: np.ndarray) -> Tensor:
        wanted = [self._chosen[int(frame)] for frame in self._source[numbers]]
        with self._turn:
            for frame in sorted({*wanted} - {*self._known}):
                (crop,) = self._video.crops(np.array([frame]), SIZE)
                self._known[frame] = self._encode(crop[None])
            found = torch.cat([self._known[frame] for frame in wanted])
            for frame in [*self._known][: max(0, len(self._known) - KEPT)]:
                del self._known[frame]
        return found


def load(config: Config, execution: Execution, *, mask: np.ndarray) -> MuseTalk:  # noqa: ARG001
    """mask: not used, it has a box and a mask of its own.

    Raises CheckpointError: weights that do not fit, or all that are missing. Nothing is downloaded.
    """
    _, *wanted = weights_wanted(config)
    checkpoint, vae_file = find_all(wanted, folders=config.weights.folders)
    unet = load_unet(checkpoint, execution)
    unet.prepare(SIZE // LATENT_STEP, CHUNK)
    vae = load_vae(vae_file, execution, vae_wanted(config)[0])
    vae.prepare(SIZE, config.generate.vae_batch)
    return MuseTalk(
        unet,
        vae,
        settings=config.generate,
        execution=execution,
        checkpoint=checkpoint,
        files=(checkpoint, vae_file),
    )
