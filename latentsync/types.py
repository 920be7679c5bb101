"""The values that flow between stages: small, frozen, independent of files and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch


class Change(NamedTuple):
    """What a patch changed of a frame [8-bit code values]: the largest change, and the mean over
    the part that it can change. 0: no pixel."""

    largest: int = 0
    mean: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of the video, upright (rotation already applied).

    index: position in decode order, from 0.
    pts_seconds: presentation time, counted from VideoInfo.origin.
    pts: the same instant in ticks of VideoInfo.time_base.
    pixels: (H, W, 3) RGB, C-contiguous: uint8, or uint16 over its full range (65535 is white) if
        the video has more than 8 bits per channel or is HDR.
    alpha: (H, W) of the same dtype, 0 is transparent; None: the video has no alpha channel.
    transfer: how HDR pixels are coded, by FFmpeg's name ("arib-std-b67" is HLG, "smpte2084" PQ);
        "": as usual.
    carrier: what else the decoder gave: samples in the video's own pixel format and side data. It
        belongs to latentsync.media, which uses it when the frame is encoded; may be None.
    """

    index: int
    pts_seconds: float
    pts: int
    pixels: np.ndarray
    alpha: np.ndarray | None = None
    transfer: str = ""
    carrier: Any = None

    @property
    def nbytes(self) -> int:
        """Memory that pixels and alpha hold."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Where one face lies in one frame. About 1 kB, picklable; a whole video's fit in memory.

    matrix: (2, 3) float32, frame pixels -> pixels of the aligned crop (420x560, see face.align).
    landmarks: (len(LANDMARKS), 2) float32, frame pixels (x, y), order of face.landmarks.LANDMARKS.
    confidence: of the detector, 0..1.
    track: number of the track (one face between two cuts) that the face belongs to.
    outline: (K, 2) float32, frame pixels: the closed outline of the face, as detected; None: the
        face model has none.
    """

    matrix: np.ndarray
    landmarks: np.ndarray
    confidence: float
    track: int
    outline: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """At most 16 frames of one track that are generated together: the unit of diffusion and noise.

    index: number of the chunk in the whole video, from 0.
    crops: (F, 3, R, R) float32 RGB [-1, 1], the aligned crops, stretched to the model's square.
    audio: (F, tokens, C) float32, each frame's window of the speech features.
    frames: (F,) int, numbers of the output frames; a short chunk may hold some of them twice.
    """

    index: int
    crops: torch.Tensor
    audio: torch.Tensor
    frames: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """New pixels for a part of a frame: the only input of compositing beside the frame.

    pixels: (3, h, w) float32 RGB. Replacing patches: [-1, 1]. Additive patches: a difference to
        what lies below, in the same unit (2.0 is the way from black to white).
    matrix: (2, 3) float32, frame pixels -> patch pixels.
    mask: (h, w) float32 in [0, 1], 1 where new pixels win.
    track: number of the track whose face it is for.
    additive: False: out = below * (1 - mask) + pixels * mask. True: out = below + pixels * mask.
    """

    pixels: torch.Tensor
    matrix: np.ndarray
    mask: np.ndarray
    additive: bool = False
    track: int = -1


@dataclass(frozen=True, slots=True)
class Box:
    """Columns x0..x1 and rows y0..y1 of a frame [pixels], half open."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def empty(self) -> bool:
        return self.x0 >= self.x1 or self.y0 >= self.y1

    def common(self, other: Box) -> Box:
        """What lies in both; may be empty."""
        low = max(self.x0, other.x0), max(self.y0, other.y0)
        return Box(*low, min(self.x1, other.x1), min(self.y1, other.y1))

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        low = min(self.x0, other.x0), min(self.y0, other.y0)
        return Box(*low, max(self.x1, other.x1), max(self.y1, other.y1))


@dataclass(frozen=True, slots=True, eq=False)
class PatchedFrame:
    """A frame and the patches over it, bottom first. No patches: the frame is left unmodified.

    index: of the output frame, from 0. frame: the frame of the video that it shows.
    """

    index: int
    frame: Frame
    patches: tuple[Patch, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory that they hold."""
        return self.frame.nbytes + sum(one.pixels.nbytes + one.mask.nbytes for one in self.patches)
