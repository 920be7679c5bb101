"""What a generator of mouths is, and the table that names the ones that come with the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from latentsync.plugins import find_plugin

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latentsync.schema import Config
    from latentsync.types import Chunk


@runtime_checkable
class LipGenerator(Protocol):
    """New mouths from sound, in the aligned crops of one chunk.

    size: R, side of the square crops that it works on. chunk_frames: the longest chunk it takes.
    __call__: chunk.crops (F, 3, R, R), chunk.audio (F, tokens, C) -> (F, 3, R, R) float32 RGB on
        the CPU, about [-1, 1], not clamped. Where the mask is 0, the crops as they came.
        A failure raises; handing the crops back would be the worst thing it could do.
    """

    name: str
    size: int
    chunk_frames: int

    def __call__(self, chunk: Chunk) -> torch.Tensor: ...


class GeneratorLoader(Protocol):
    """Makes a generator ready for work on the device, or raises a LatentSyncError."""

    def __call__(
        self,
        config: Config,
        device: torch.device,
        *,
        mask: np.ndarray,
        frame_counts: Sequence[int] | None,
    ) -> LipGenerator: ...


GENERATORS: dict[str, str] = {"latentsync": "latentsync.generate.latentsync:load"}


def load_generator(
    config: Config,
    device: torch.device,
    *,
    mask: np.ndarray,
    frame_counts: Sequence[int] | None = None,
) -> LipGenerator:
    """The generator that ``generate.name`` asks for, ready for work.

    mask: (R, R) float in [0, 1], 1 where the face is generated; R: see settings.face_model.
    frame_counts: frames of every chunk of the film, in order; needed for noise as upstream draws
        it. Raises UnknownPluginError, or whatever LatentSyncError its loader raises.
    """
    load: GeneratorLoader = find_plugin("generator", config.generate.name, GENERATORS)
    return load(config, device, mask=mask, frame_counts=frame_counts)
