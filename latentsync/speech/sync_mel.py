"""The mel spectrogram that StableSyncNet takes: LatentSync's utils/audio.py, which is Wav2Lip's.

Not that of Whisper, see mel.py: other windows, amplitudes in decibels, pre-emphasis, and no scaling
by the loudest point. 80 columns a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np

from latentsync.speech.mel import slaney_filters
from latentsync.speech.mfcc import emphasised

SAMPLE_RATE = 16000  # Hz
N_FFT = 800  # samples; 50 ms
HOP = 200  # samples; 12.5 ms from one column to the next
PER_SECOND = SAMPLE_RATE // HOP
N_MELS = 80
TOP = 4.0
"""Values lie between -4 and 4."""

_LOWEST, _HIGHEST = 55.0, 7600.0  # Hz
_FLOOR = 1e-5  # amplitude: -100 dB
_REFERENCE = 20.0  # dB
_RANGE = 100.0  # dB that the values span
_COLUMNS_AT_ONCE = 2400  # 30 s


def sync_mel(samples: np.ndarray) -> np.ndarray:
    """samples: (n,) float, mono at 16 kHz, [-1, 1] -> (80, 1 + n // 200) float32, [-4, 4].

    Column i is centred on sample 200 i; there are zeros beyond both ends.
    """
    return sync_mel_of_blocks([samples])


def sync_mel_of_blocks(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """blocks: consecutive samples, as for `sync_mel`. The result does not depend on the blocks.

    92 MB for an hour, of which 30 s are computed at once.
    """
    columns = [_columns(stretch) for stretch in _stretches(emphasised(blocks))]
    return np.concatenate(columns, axis=1)


def _stretches(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The samples of 30 s of columns, zeros beyond the ends; neighbours overlap by N_FFT - HOP."""
    held = np.zeros(N_FFT // 2)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= N_FFT + _COLUMNS_AT_ONCE * HOP:
            yield held[: N_FFT + (_COLUMNS_AT_ONCE - 1) * HOP]
            held = held[_COLUMNS_AT_ONCE * HOP :]
    yield np.concatenate([held, np.zeros(N_FFT // 2)])


def _columns(samples: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP]
    amplitudes = np.abs(np.fft.rfft(windows * _hann(), axis=1)) @ _filters().T
    decibels = 20 * np.log10(np.maximum(_FLOOR, amplitudes)) - _REFERENCE
    values = 2 * TOP * (decibels + _RANGE) / _RANGE - TOP
    scaled: np.ndarray = values.clip(-TOP, TOP).T.astype(np.float32)
    return scaled


@cache
def _hann() -> np.ndarray:
    """(800,): periodic."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)


@cache
def _filters() -> np.ndarray:
    return slaney_filters(N_MELS, N_FFT, _LOWEST, _HIGHEST)
