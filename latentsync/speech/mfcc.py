"""Mel-frequency cepstral coefficients (MFCC) as python_speech_features 0.6 computes them.

LR-ASD and SyncNet take them. Values are of samples in the range of int16, as files hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np

SAMPLE_RATE = 16000  # Hz
WINDOW = 400  # samples; 25 ms
HOP = 160  # samples; 10 ms from one row to the next
PER_SECOND = SAMPLE_RATE // HOP
CEPSTRA = 13
FULL_SCALE = 32768  # int16 of a sample of 1.0

_N_FFT = 512
_FILTERS = 26
_LIFTER = 22
_PREEMPHASIS = 0.97
_ROWS_AT_ONCE = 3000  # 30 s
_LEAST = np.finfo(float).eps  # takes the place of an energy of 0, whose logarithm is infinite


def mfcc(samples: np.ndarray) -> np.ndarray:
    """samples: (n,) int16, or real numbers in its range, 16 kHz mono -> (T, 13) float64.

    100 rows a second; the first value of a row is the logarithm of the energy. Row i covers samples
    160 i to 160 i + 400; the last row is padded with zeros. T = 1 + ceil((n - 400) / 160), at least
    1, as upstream; no sample at all gives no row.
    """
    return _joined(_rows(iter([np.asarray(samples)])))


def mfcc_of_blocks(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """blocks: consecutive (n,) float32 mono at 16 kHz, [-1, 1) -> (T, 13) float32, as `mfcc`.

    The result does not depend on the blocks. 19 MB for an hour, of which 30 s are computed at once.
    """
    scaled = (np.asarray(block, np.float64) * FULL_SCALE for block in blocks)
    return _joined(rows.astype(np.float32) for rows in _rows(scaled))


def _joined(rows: Iterable[np.ndarray]) -> np.ndarray:
    found = list(rows)
    return np.concatenate(found) if found else np.empty((0, CEPSTRA))


def _rows(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields (m, 13) for consecutive stretches of the pre-emphasised samples."""
    held, first = np.empty(0), True
    for block in emphasised(blocks):
        held = np.concatenate([held, block])
        while len(held) >= WINDOW + _ROWS_AT_ONCE * HOP:
            yield _cepstra(held[: WINDOW + (_ROWS_AT_ONCE - 1) * HOP])
            held, first = held[_ROWS_AT_ONCE * HOP :], False
    # What a window has covered already is no row of its own.
    if len(held) > (0 if first else WINDOW - HOP):
        count = 1 + max(0, -(-(len(held) - WINDOW) // HOP))
        yield _cepstra(np.pad(held, (0, WINDOW + (count - 1) * HOP - len(held))))


def emphasised(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Each sample less 0.97 times the one before; the first sample stays as it is. float64."""
    last = 0.0
    for block in blocks:
        if len(block):
            values = block.astype(np.float64)
            yield values - _PREEMPHASIS * np.concatenate([[last], values[:-1]])
            last = values[-1]


def _cepstra(samples: np.ndarray) -> np.ndarray:
    """(400 + 160 (T - 1),) -> (T, 13)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames, _N_FFT)) ** 2 / _N_FFT
    energies = power @ _filters().T
    values = np.log(np.where(energies == 0, _LEAST, energies)) @ _cosines()
    values *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(CEPSTRA) / _LIFTER)
    total = power.sum(axis=1)
    values[:, 0] = np.log(np.where(total == 0, _LEAST, total))
    return values


@cache
def _filters() -> np.ndarray:
    """(26, 257): triangles between bins that are evenly spaced in mel up to 8 kHz, whole numbers.

    mel = 2595 log10(1 + Hz / 700).
    """
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, _FILTERS + 2) / 2595) - 1)
    corners = np.floor((_N_FFT + 1) * hertz / SAMPLE_RATE)
    left, centre, right = (corners[i : i + _FILTERS, None] for i in range(3))
    bins = np.arange(_N_FFT // 2 + 1)
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.where((bins >= left) & (bins < right), np.minimum(rising, falling), 0).clip(min=0)


@cache
def _cosines() -> np.ndarray:
    """(26, 13): the first columns of the orthonormal DCT-II."""
    steps = (np.arange(_FILTERS)[:, None] + 0.5) * np.arange(CEPSTRA)
    basis = np.cos(np.pi / _FILTERS * steps) * np.sqrt(2 / _FILTERS)
    basis[:, 0] /= np.sqrt(2)
    return basis
