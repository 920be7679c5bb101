"""From a sound of any length to what each frame of the video hears, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from latentsync.speech.acoustic import compute_acoustics
from latentsync.speech.encoder import N_CTX
from latentsync.speech.mel import FEATURE_FRAMES, Extent, measure, padded, segments
from latentsync.speech.windows import indices_at, stream_windows, window_indices

Encoder = Callable[[Tensor], Tensor]
"""mel (1, 80, 3000) float32 on the CPU -> (1, 1500, S, C), as encoder.WhisperEncoder."""


class SpeechFeatures:
    """The features of one sound. Nothing is stored but two numbers: each pass listens anew.

    blocks: each iteration gives the whole sound, as consecutive (n,) float32, mono at 16 kHz,
        [-1, 1].
    extent: of the whole sound, where a plan holds it already; measured here otherwise, in one pass.
    """

    def __init__(
        self,
        blocks: Iterable[np.ndarray],
        encoder: Encoder,
        *,
        extent: Extent | None = None,
    ) -> None:
        self._blocks, self._encoder = blocks, encoder
        self.extent = measure(blocks) if extent is None else extent

    def __len__(self) -> int:
        """Features in all, 50 a second."""
        return self.extent.features

    def segments(self, start: int = 0) -> Iterator[Tensor]:
        """(l, S, C) float32 on the encoder's device; l = 1500, 30 s, but for the last one.

        start: number of the first segment that is wanted; those before it are not encoded.
        Segments do not hear each other. whisper/transcribe.py:85-128.
        """
        for mel in islice(segments(self._blocks, self.extent), start, None):
            length = mel.shape[1] // FEATURE_FRAMES
            if length:  # a single mel frame at the end is not enough for a feature
                yield _encode(self._encoder, padded(mel))[:length]

    def windows(
        self, fps: float | Fraction, *, start: int = 0, stop: int | None = None
    ) -> Iterator[Tensor]:
        """(10 * S, C) float32 for each frame from start to stop (not included), in order.

        stop: as many frames as upstream would make, if left out; see windows.frame_count.
        """
        indices = window_indices(len(self), fps, start=start, stop=stop)
        if len(indices):
            first = int(indices[0, 0]) // N_CTX
            yield from stream_windows(self.segments(first), indices, first=first * N_CTX)

    def windows_at(self, seconds: np.ndarray) -> Iterator[Tensor]:
        """(10 * S, C) float32 for each instant. seconds: (N,) rising, on the sound's clock."""
        indices = indices_at(seconds, len(self))
        if len(indices):
            first = int(indices[0, 0]) // N_CTX
            yield from stream_windows(self.segments(first), indices, first=first * N_CTX)


@torch.no_grad()
def _encode(encoder: Encoder, mel: Tensor) -> Tensor:
    """(80, 3000) -> (1500, S, C)."""
    return encoder(mel[None])[0].float()


class AcousticFeatures:
    """The same for who needs no network to hear: cepstra. 47 MB for an hour. blocks: as above.

    acoustics: the whole sound.
    """

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.extent = measure(blocks)
        self.acoustics = compute_acoustics(blocks, self.extent)

    def __len__(self) -> int:
        """Features that Whisper would have of it, 50 a second."""
        return self.extent.features

    def windows_at(self, seconds: np.ndarray) -> Iterator[Tensor]:
        """(1, D) float32 for each instant. seconds: (N,) rising, on the sound's clock."""
        for start in range(0, len(seconds), N_CTX):
            around = self.acoustics.around(seconds[start : start + N_CTX])
            yield from torch.from_numpy(around)[:, None]
