"""Computes the speech features of each video frame, for audio of any length, in bounded memory."""

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
    """The features of one recording. Only two numbers are stored: each pass computes them anew.

    blocks: each iteration yields the whole audio: consecutive (n,) float32, mono at 16 kHz,
        [-1, 1].
    extent: of the whole audio, if a plan has it; otherwise it is measured here, in one pass.
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
        """The number of features, 50 a second."""
        return self.extent.features

    def segments(self, start: int = 0) -> Iterator[Tensor]:
        """(l, S, C) float32 on the encoder's device; l = 1500, 30 s, but for the last one.

        start: index of the first segment that is needed; those before it are not encoded.
        Segments are encoded independently. whisper/transcribe.py:85-128.
        """
        for mel in islice(segments(self._blocks, self.extent), start, None):
            length = mel.shape[1] // FEATURE_FRAMES
            if length:  # a single mel frame at the end gives no feature
                yield encode(self._encoder, padded(mel))[:length]

    def windows(
        self, fps: float | Fraction, *, start: int = 0, stop: int | None = None
    ) -> Iterator[Tensor]:
        """Yields (10 * S, C) float32 for each frame from start to stop (excluded).

        stop: None: as many frames as upstream makes; see windows.frame_count.
        """
        indices = window_indices(len(self), fps, start=start, stop=stop)
        if len(indices):
            first = int(indices[0, 0]) // N_CTX
            yield from stream_windows(self.segments(first), indices, first=first * N_CTX)

    def windows_at(self, seconds: np.ndarray) -> Iterator[Tensor]:
        """Yields (10 * S, C) float32 for each instant. seconds: (N,) rising, of the audio."""
        indices = indices_at(seconds, len(self))
        if len(indices):
            first = int(indices[0, 0]) // N_CTX
            yield from stream_windows(self.segments(first), indices, first=first * N_CTX)


@torch.no_grad()
def encode(encoder: Encoder, mel: Tensor) -> Tensor:
    """(80, 3000) -> (1500, S, C)."""
    return encoder(mel[None])[0].float()


class AcousticFeatures:
    """Cepstra, which need no network. 47 MB for an hour. blocks: as above.

    acoustics: of the whole audio.
    """

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.extent = measure(blocks)
        self.acoustics = compute_acoustics(blocks, self.extent)

    def __len__(self) -> int:
        """The number of features that Whisper would compute, 50 a second."""
        return self.extent.features

    def windows_at(self, seconds: np.ndarray) -> Iterator[Tensor]:
        """Yields (1, D) float32 for each instant. seconds: (N,) rising, of the audio."""
        for start in range(0, len(seconds), N_CTX):
            around = self.acoustics.around(seconds[start : start + N_CTX])
            yield from torch.from_numpy(around)[:, None]
