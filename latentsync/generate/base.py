"""The interface of mouth generators. For the built-in ones see table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latentsync.types import Alignment, Chunk

WHISPER, NORMED_WHISPER, CEPSTRA = AUDIO_INPUTS = "whisper", "normed_whisper", "cepstra"
"""Audio features that a generator may take; see LipGenerator.audio."""


@runtime_checkable
class LipGenerator(Protocol):
    """Generates mouths from audio, in the aligned crops of one chunk, or boxes of them: see Boxed.

    size: R, side of its square crops. chunk_frames: the longest chunk it takes.
    audio: its audio features: "whisper" (of the speech encoder), "normed_whisper" (with the norm
        after its last layer, each half minute by itself; see speech.half_minutes), "cepstra", or
        None. Without the attribute it gets Whisper's features. The attribute audio_width: 384 or
        768, of Whisper's features; without it by model.cross_attention_dim. The attribute files:
        the weights files that its mouths depend on; without it ``checkpoint``, if it has one.
    __call__: chunk.crops (F, 3, R, R), chunk.audio (F, tokens, C) -> (F, 3, R, R) float32 RGB on
        the CPU, about [-1, 1], not clamped. Where the mask is 0, the crops are unchanged.
        The result depends on the chunk alone; it is called from any thread, repeatedly. A failure
        must raise; it must never return the input crops instead.
    """

    name: str
    size: int
    chunk_frames: int

    @property
    def audio(self) -> str | None: ...

    def __call__(self, chunk: Chunk) -> torch.Tensor: ...


class AudioFeatures(Protocol):
    """Audio features around an instant of a recording; see speech.acoustic.Acoustics."""

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

    name: for messages. alignments: F entries, None without a face. seconds: (F,) rising, in the
    audio's time. cuts: (F,) bool, True where a new shot begins. occluded: (F,) bool, True where
    something is in front of the face: its mouth must not be shown elsewhere. people: returns
    (F,) int, one number for each person, -1 without a face; in doubt one person has two. audio:
    returns None: no audio.
    crops: rising indices of frames with a face, side R -> the crop of each, (3, R, R) float32 RGB
    [-1, 1], as in chunks: the aligned crop, or the track's box of it.
    """

    name: str
    alignments: Sequence[Alignment | None]
    seconds: np.ndarray
    cuts: np.ndarray
    occluded: np.ndarray
    people: Callable[[], np.ndarray]
    audio: Callable[[], AudioFeatures | None]
    crops: Callable[[np.ndarray, int], Iterator[torch.Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class GenerationRequest:
    """All N output frames of one video, for the generator to prepare.

    video: the target video. open_footage: a path -> another video of the same identity.
    seconds: (N,) rising, in the time of the speech. source: (N,) int, the frame of the video that
    each output frame shows. chunks: (N,) int, the chunk of each, -1: it is not generated. jumps:
    (N,) bool, True where the frame does not continue the one before. lengths: the number of frames
    that each chunk is generated with. speech: the new speech as cepstra; None where the generator
    does not take them. check: raises Cancelled; to be called between long steps.
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
    """A generator that processes the whole request before the first chunk."""

    def prepare(self, request: GenerationRequest) -> LipGenerator:
        """Returns a generator for this request alone; self is unchanged.

        Raises a LatentSyncError where mouths cannot be generated for the request.
        """
        ...


@runtime_checkable
class Partial(Protocol):
    """A generator that has no mouth for some frames: they keep the mouth as filmed."""

    def shown(self, numbers: np.ndarray) -> np.ndarray:
        """numbers: (K,) int, generated output frames -> (K,) float32 in [0, 1]: the share of its
        mouth to show. 0: there is none, and its crop comes back unchanged; between: a fade."""
        ...


@runtime_checkable
class Boxed(Protocol):
    """A generator whose square is a box of the aligned crop, the same for all frames of a track.

    Its crops, in chunks and in the footage, are that box. What it returns may be new everywhere.
    mask: (R, R) float32 in [0, 1]: where in its square it may be shown; 0 along the border.
    """

    mask: np.ndarray

    def box(self, faces: Sequence[Alignment]) -> tuple[float, float, float, float]:
        """faces: of all frames of a track -> left, top, right, bottom in aligned pixels from the
        crop's corner; the box may reach beyond it."""
        ...


@runtime_checkable
class Reconstructing(Protocol):
    """A generator whose VAE can reconstruct faces, without diffusion."""

    def reconstruct(self, crops: torch.Tensor) -> torch.Tensor:
        """crops: (F, 3, R, R) float32 RGB [-1, 1] -> encoded and decoded, on the CPU."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ChunkMouths:
    """Mouths (F, 3, R, R) of the frames that a chunk determines: of an anchor those that it does
    not share, and F may be 0.

    first, last: what its neighbours need of an anchor, for the generator alone.
    """

    mouths: torch.Tensor
    first: Any = None
    last: Any = None


@runtime_checkable
class Overlapping(Protocol):
    """A generator whose chunks may share their last ``overlap`` frames with the next chunk.

    The chunks of a run are in turn anchors and bridges: a bridge is generated after the anchors on
    both sides, and with it the frames that it shares with them. A chunk that shares none is
    generated by __call__.
    """

    overlap: int

    def anchor(self, chunk: Chunk, *, first: bool, last: bool) -> ChunkMouths:
        """first, last: whether its first and its last frames are shared."""
        ...

    def bridge(self, chunk: Chunk, before: Any, after: Any | None) -> torch.Tensor:
        """before: ``last`` of the anchor before. after: ``first`` of the one after; None: there
        is none. Returns the mouths of all its frames, as __call__ does."""
        ...
