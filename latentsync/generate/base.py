"""What a generator of mouths is, and the table that names the ones that come with the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from latentsync.errors import ConfigError
from latentsync.plugins import find_plugin

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config
    from latentsync.types import Alignment, Chunk

WHISPER, CEPSTRA = "whisper", "cepstra"
"""What a generator may listen to; see LipGenerator.audio."""


@runtime_checkable
class LipGenerator(Protocol):
    """New mouths from audio, in the aligned crops of one chunk.

    size: R, side of the square crops that it works on. chunk_frames: the longest chunk it takes.
    audio: what it listens to: "whisper" (features of the speech encoder), "cepstra", or None. One
        that does not say is given Whisper's features.
    __call__: chunk.crops (F, 3, R, R), chunk.audio (F, tokens, C) -> (F, 3, R, R) float32 RGB on
        the CPU, about [-1, 1], not clamped. Where the mask is 0, the crops as they came.
        A function of the chunk alone, from any thread, as often as it is asked for. A failure
        raises; handing the crops back would be the worst thing it could do.
    """

    name: str
    size: int
    chunk_frames: int

    @property
    def audio(self) -> str | None: ...

    def __call__(self, chunk: Chunk) -> torch.Tensor: ...


class AudioFeatures(Protocol):
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
    """A video of F frames.

    name: for messages. alignments: F entries, None without a face. seconds: (F,) rising, on the
    audio's clock. cuts: (F,) bool, True where a new shot begins. audio: None: the video has none.
    crops: rising numbers of frames with a face, side R -> the aligned crop of each, (3, R, R)
    float32 RGB [-1, 1], as chunks hold them.
    """

    name: str
    alignments: Sequence[Alignment | None]
    seconds: np.ndarray
    cuts: np.ndarray
    audio: Callable[[], AudioFeatures | None]
    crops: Callable[[np.ndarray, int], Iterator[torch.Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class GenerationRequest:
    """All that is to be generated for one video: N output frames.

    video: what is generated into. open_footage: a path -> another video of the same person.
    seconds: (N,) rising, on the clock of the speech. source: (N,) int, the frame of the video that
    each output frame shows. chunks: (N,) int, the chunk of each, -1: it is not generated. jumps:
    (N,) bool, True where the frame does not continue the one before. lengths: by chunk, the number
    of frames that it is generated with. speech: the new speech as cepstra; None where the
    generator does not listen to them. check: raises Cancelled once the work is no longer wanted;
    to be called between steps that take long.
    """

    video: Footage
    open_footage: Callable[[str], Footage]
    seconds: np.ndarray
    source: np.ndarray
    chunks: np.ndarray
    jumps: np.ndarray
    lengths: Sequence[int]
    speech: AudioFeatures | None
    check: Callable[[], None]


@runtime_checkable
class Preparing(Protocol):
    """A generator that looks at the whole request before the first chunk."""

    def prepare(self, request: GenerationRequest) -> LipGenerator:
        """A generator for this request alone; the one that is asked stays as it is.

        Raises a LatentSyncError where it cannot serve the request.
        """
        ...


@runtime_checkable
class Reconstructing(Protocol):
    """A generator that can show what its VAE alone makes of a face."""

    def reconstruct(self, crops: torch.Tensor) -> torch.Tensor:
        """crops: (F, 3, R, R) float32 RGB [-1, 1] -> the same, on the CPU, as coded."""
        ...


class GeneratorLoader(Protocol):
    """Makes a generator ready for work, or raises a LatentSyncError."""

    def __call__(
        self,
        config: Config,
        execution: Execution,
        *,
        mask: np.ndarray,
    ) -> LipGenerator: ...


GENERATORS: dict[str, str] = {
    "latentsync": "latentsync.generate.diffusion.generator:load",
    "replay": "latentsync.generate.replay.generator:load",
}


def load_generator(config: Config, execution: Execution, *, mask: np.ndarray) -> LipGenerator:
    """The generator that ``generate.name`` asks for, ready for work.

    execution: how its networks run. mask: (R, R) float in [0, 1], 1 where the face is generated;
    R: see settings.face_model. Raises UnknownPluginError, or whatever LatentSyncError its loader
    raises.
    """
    load: GeneratorLoader = find_plugin("generator", config.generate.name, GENERATORS)
    return load(config, execution, mask=mask)


def audio_input(generator: LipGenerator) -> str | None:
    """``generator.audio``; "whisper" where it does not say. Raises ConfigError for another word."""
    audio = getattr(generator, "audio", WHISPER)
    if audio not in (WHISPER, CEPSTRA, None):
        raise ConfigError(
            f"the generator {generator.name} listens to",
            audio,
            "let it say whisper, cepstra or None",
        )
    return audio
