"""Speech features of each half minute by itself, as transformers computes them.

The audio, not the spectrogram, is padded to half a minute, and its own loudest point sets the scale
(transformers' WhisperFeatureExtractor). Windows hold zeros beyond both ends of the audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from torch import Tensor

from latentsync.speech.encoder import N_CTX
from latentsync.speech.features import SpeechFeatures, encode
from latentsync.speech.mel import SEGMENT_SAMPLES, log_mel
from latentsync.speech.windows import WINDOW, beyond


class HalfMinuteFeatures(SpeechFeatures):
    """See SpeechFeatures."""

    def segments(self, start: int = 0) -> Iterator[Tensor]:
        """See SpeechFeatures.segments."""
        left = len(self) - start * N_CTX
        for samples in islice(half_minutes(self._blocks), start, None):
            if left > 0:  # a few samples at the end give no feature
                padded = np.pad(samples, (0, SEGMENT_SAMPLES - len(samples)))
                yield encode(self._encoder, log_mel(padded))[:left]
            left -= N_CTX

    def windows_at(self, seconds: np.ndarray) -> Iterator[Tensor]:
        """See SpeechFeatures.windows_at."""
        outside = beyond(seconds, len(self))
        for window, zero in zip(super().windows_at(seconds), outside, strict=True):
            yield _with_zeros(window, zero) if zero.any() else window


def half_minutes(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The samples as (480000,) float32, the last one shorter."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= SEGMENT_SAMPLES:
            joined = np.concatenate(held)
            for first in range(0, count - SEGMENT_SAMPLES + 1, SEGMENT_SAMPLES):
                yield joined[first : first + SEGMENT_SAMPLES]
            held = [joined[count - count % SEGMENT_SAMPLES :]]
            count %= SEGMENT_SAMPLES
    if count:
        yield np.concatenate(held)


def _with_zeros(window: Tensor, zero: np.ndarray) -> Tensor:
    """window: (10 * S, C). zero: (10,) bool, features that are beyond the audio."""
    features = window.reshape(WINDOW, -1, window.shape[1]).clone()
    features[np.flatnonzero(zero)] = 0
    return features.reshape(window.shape)
