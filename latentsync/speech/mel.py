"""The log-mel spectrogram that Whisper takes, of audio of any length.

It is scaled by the loudest point of the whole recording. So there are two passes: `measure` finds
that point, `segments` then yields the spectrogram, half a minute at a time. Both compute it in the
same portions, whatever blocks the samples come in: the result does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLE_RATE = 16000  # Hz
N_FFT = 400  # samples; 25 ms
HOP = 160  # samples; 10 ms from one mel frame to the next
N_MELS = 80
FEATURE_FRAMES = 2  # mel frames to one feature of the encoder; 20 ms
SEGMENT_FRAMES = 3000  # mel frames that the encoder takes at once; 30 s
SEGMENT_SAMPLES = SEGMENT_FRAMES * HOP
SHORTEST = FEATURE_FRAMES * HOP  # samples; shorter audio is padded with silence

FAINTEST = 1e-10  # energy, below which the logarithm is cut off
DEPTH = 8.0  # decades below the loudest point that are kept

_MARGIN = N_FFT // 2  # samples; the first frame is centred on the first sample
_STRETCH = SEGMENT_SAMPLES - HOP + N_FFT  # samples that the frames of a segment are computed from

# The Slaney mel scale: linear up to 1 kHz, logarithmic above.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True, slots=True)
class Extent:
    """What has to be known of the whole audio before any part of its spectrogram is computed.

    frames: mel frames, 100 a second. peak: greatest log10 energy.
    """

    frames: int
    peak: float

    @property
    def features(self) -> int:
        """Features that the encoder computes from it, 50 a second."""
        return self.frames // FEATURE_FRAMES


def measure(blocks: Iterable[np.ndarray]) -> Extent:
    """blocks: consecutive (n,) float32 mono at 16 kHz, [-1, 1]. Raises ValueError: no samples."""
    frames, peak = 0, -np.inf
    for energies in _log_energies(blocks):
        frames += energies.shape[1]
        peak = max(peak, float(energies.max()))
    return Extent(frames, peak)


def segments(blocks: Iterable[np.ndarray], extent: Extent) -> Iterator[Tensor]:
    """Yields the spectrogram: (80, m) float32; m = 3000 but for the last one; log10 energy / 4 + 1.

    blocks: as for `measure`, the same audio. Values span 2 at most. whisper/audio.py:100-124.
    """
    for energies in _log_energies(blocks):
        yield (energies.clamp(min=extent.peak - DEPTH) + 4.0) / 4.0


def log_mel(samples: np.ndarray) -> Tensor:
    """The whole spectrogram at once. samples: (n,) as in blocks. -> (80, n // 160)."""
    return torch.cat(list(segments([samples], measure([samples]))), dim=1)


def padded(segment: Tensor) -> Tensor:
    """(80, m) -> (80, 3000), padded with 0.0: not silence, but what the encoder was trained with.

    Normalised, 0.0 is an energy of 1e-4, louder than silence. whisper/audio.py:52-73.
    """
    return F.pad(segment, (0, SEGMENT_FRAMES - segment.shape[1]))


def mel_filters(n_mels: int = N_MELS) -> Tensor:
    """(n_mels, 201) float32: see slaney_filters, from 0 to 8 kHz."""
    filters = slaney_filters(n_mels, N_FFT, 0.0, SAMPLE_RATE / 2)
    return torch.from_numpy(filters.astype(np.float32))


def slaney_filters(n_mels: int, n_fft: int, lowest: float, highest: float) -> np.ndarray:
    """(n_mels, n_fft // 2 + 1) float64: triangles of equal area, evenly spaced in mel. Limits: Hz.

    The scale and the norm of M. Slaney's Auditory Toolbox (1998).
    """
    mels = np.linspace(_mel(lowest), _mel(highest), n_mels + 2)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL))
    corners = np.where(mels < _BREAK_MEL, mels * _HZ_PER_MEL, above)
    left, centre, right = (corners[i : i + n_mels, None] for i in range(3))
    hertz = np.linspace(0.0, SAMPLE_RATE / 2, n_fft // 2 + 1)
    slopes = np.minimum((hertz - left) / (centre - left), (right - hertz) / (right - centre))
    filters: np.ndarray = slopes.clip(min=0) * 2 / (right - left)
    return filters


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _HZ_PER_MEL
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HZ) / _LOG_STEP)


def _log_energies(blocks: Iterable[np.ndarray]) -> Iterator[Tensor]:
    """(80, m) float32 log10; m = 3000 but for the last one; n // 160 frames in all."""
    filters, window = mel_filters(), torch.hann_window(N_FFT)
    for stretch, is_last in _stretches(_mirrored(_at_least(blocks, SHORTEST))):
        samples = torch.from_numpy(stretch)
        spectrum = torch.stft(samples, N_FFT, HOP, window=window, center=False, return_complex=True)
        if is_last:  # the frame centred on the end of the audio is left out, as upstream does
            spectrum = spectrum[:, :-1]
        if spectrum.shape[1]:
            yield (filters @ spectrum.abs() ** 2).clamp(min=FAINTEST).log10()


def _at_least(blocks: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The same samples, at least ``count`` in the first block; padded with silence if fewer."""
    head = np.empty(0, np.float32)
    for block in blocks:
        if len(head) < count:
            head = np.concatenate([head, block])
            if len(head) >= count:
                yield head
        else:
            yield block
    if not len(head):
        raise ValueError("audio without a single sample has no log-mel spectrogram")
    if len(head) < count:
        yield np.pad(head, (0, count - len(head)))


def _mirrored(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples with 200 more at both ends, mirrored about the outermost one."""
    tail = np.empty(0, np.float32)
    for block in blocks:
        if not len(tail):
            yield block[_MARGIN:0:-1]
        yield block
        tail = np.concatenate([tail, block])[-_MARGIN - 1 :]
    yield tail[-2::-1]


def _stretches(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """The samples of one segment's frames, and whether it is the last one; neighbours overlap.

    A full stretch is given only once a further frame is sure to follow: the last frame of all has
    to be in the last stretch, where it is dropped.
    """
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count < _STRETCH + HOP:
            continue
        joined = np.concatenate(held)
        while len(joined) >= _STRETCH + HOP:
            yield joined[:_STRETCH], False
            joined = joined[SEGMENT_SAMPLES:]
        held, count = [joined], len(joined)
    yield np.concatenate(held), True
