"""What a generator of mouths is, and the table that names the ones that come with the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from latentsync.plugins import find_plugin

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latentsync.runtime.execution import Execution
    from latentsync.schema import Config
    from latentsync.types import Alignment, Chunk


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


class Sound(Protocol):
    """What can be heard around an instant of a recording; see speech.acoustic.Acoustics."""

    @property
    def speech_seconds(self) -> float: ...

    def around(self, seconds: np.ndarray) -> np.ndarray:
        """(N,) -> (N, D) float32."""
        ...

    def silent(self, seconds: np.ndarray) -> np.ndarray:
        """(N,) -> (N,) bool."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """A film of F frames.

    name: for messages. alignments: F entries, None without a face. seconds: (F,) rising, on the
    sound's clock. cuts: (F,) bool, True where a new shot begins. sound: None: the film has none.
    crops: rising numbers of frames with a face, side R -> the aligned crop of each, (3, R, R)
    float32 RGB [-1, 1], as chunks hold them.
    """

    name: str
    alignments: Sequence[Alignment | None]
    seconds: np.ndarray
    cuts: np.ndarray
    sound: Callable[[], Sound | None]
    crops: Callable[[np.ndarray, int], Iterator[torch.Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """What is to be drawn: N output frames.

    film: what is drawn into. speaker: the same person's film to take from, often the same object.
    seconds: (N,) rising, on the clock of the speech. shown: (N,) int, the frame of the film that
    each output frame shows. chunks: (N,) int, the chunk of each, -1: it is not drawn. speech: the
    new words.
    """

    film: Footage
    speaker: Footage
    seconds: np.ndarray
    shown: np.ndarray
    chunks: np.ndarray
    speech: Sound


@runtime_checkable
class Rehearsing(Protocol):
    """A generator that has to see the whole film, and hear the whole speech, before it draws."""

    def rehearsed(self, script: Script) -> LipGenerator:
        """A generator for this script alone. Raises a LatentSyncError where it cannot be one."""
        ...


@runtime_checkable
class Redrawing(Protocol):
    """A generator that can show what its picture coder alone makes of a face."""

    def redrawn(self, crops: torch.Tensor) -> torch.Tensor:
        """crops: (F, 3, R, R) float32 RGB [-1, 1] -> the same, on the CPU, as coded."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """A generator that serves many videos, and can be told about one of them."""

    def prepared(self, *, frame_counts: Sequence[int], check: Callable[[], None]) -> LipGenerator:
        """One for one video, with the same networks; costs nothing.

        frame_counts: of every chunk, in order. check: called now and then during a call; what it
        raises ends the call.
        """
        ...


class GeneratorLoader(Protocol):
    """Makes a generator ready for work, or raises a LatentSyncError."""

    def __call__(
        self, config: Config, execution: Execution, *, mask: np.ndarray
    ) -> LipGenerator: ...


GENERATORS: dict[str, str] = {
    "latentsync": "latentsync.generate.latentsync:load",
    "replay": "latentsync.generate.replay:load",
}


def load_generator(
    config: Config,
    execution: Execution,
    *,
    mask: np.ndarray,
    frame_counts: Sequence[int] | None = None,
) -> LipGenerator:
    """The generator that ``generate.name`` asks for, ready for work.

    execution: how its networks run. mask: (R, R) float in [0, 1], 1 where the face is generated;
    R: see settings.face_model. frame_counts: frames of every chunk of the film, in order; needed
    for noise as upstream draws it. Raises UnknownPluginError, or whatever LatentSyncError its
    loader raises.
    """
    load: GeneratorLoader = find_plugin("generator", config.generate.name, GENERATORS)
    generator = load(config, execution, mask=mask)
    if frame_counts is not None and isinstance(generator, Preparable):
        return generator.prepared(frame_counts=frame_counts, check=lambda: None)
    return generator
