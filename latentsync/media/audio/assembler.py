"""Places decoded audio by its time stamps: one rate, one layout, gaps filled with silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout

from latentsync.media.container import DecodeIssues

SampleFormat = Literal["s16", "s32"]
"""FFmpeg's names of 16 and 32 bit integers."""
_DTYPES = {"s16": np.int16, "s32": np.int32}

_GAP = 0.02  # seconds; a longer one is filled. Half a video frame, above any rounding
_LONGEST_GAP = 3600.0  # seconds; a longer gap is a jump of the time stamps
_RESTART = 1.0  # seconds; so is a step back by more: two recordings concatenated


class AudioAssembler:
    """Joins decoded frames at one rate, and fills the gaps between them with silence.

    layout: FFmpeg's name of the channels. length: samples yielded so far.
    """

    def __init__(
        self,
        rate: int,
        issues: DecodeIssues,
        *,
        layout: str = "mono",
        sample_format: SampleFormat = "s16",
    ) -> None:
        self._format, self._dtype = sample_format, _DTYPES[sample_format]
        self._rate, self._issues, self._layout = rate, issues, layout
        self._channels = AudioLayout(layout).nb_channels
        self._resampler: av.AudioResampler | None = None
        self._like: tuple[str, str, int] | None = None
        self._end: float | None = None  # seconds; of the audio received so far
        self._shift = 0.0  # seconds by which the current time stamps are corrected
        self._surplus = 0  # samples before time zero, to be dropped
        self.length = 0

    def place(self, frame: AudioFrame, second: float | None) -> Iterator[np.ndarray]:
        """second: when the frame begins; None: after the one before. -> (n, channels) int."""
        if not frame.samples:
            return
        like = (frame.format.name, frame.layout.name, frame.sample_rate)
        gap = 0.0 if second is None else self._gap(second)
        if self._end is None or gap > _GAP:
            yield from self.flush()
            yield from self._bridge(gap)
        elif like != self._like:
            yield from self.flush()
        if self._resampler is None:
            self._resampler, self._like = self._new_resampler(), like
        self._end = (self._end or 0.0) + frame.samples / frame.sample_rate
        frame.pts = None  # else the resampler would fill gaps in its own way
        yield from self._kept(self._resampler.resample(frame))

    def flush(self) -> Iterator[np.ndarray]:
        """The samples that the resampler still holds."""
        if self._resampler is not None:
            last, self._resampler = self._resampler.resample(None), None
            yield from self._kept(last)

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(self._format, self._layout, self._rate)

    def _gap(self, second: float) -> float:
        """Seconds from the end of the last frame to the next one's start; < 0: they overlap."""
        gap = second + self._shift - (self._end or 0.0)
        if gap > _LONGEST_GAP or (gap < -_RESTART and self._end is not None):
            self._issues.note("the audio's time stamps jump and were corrected", self._end)
            self._shift -= gap
            return 0.0
        return gap

    def _bridge(self, gap: float) -> Iterator[np.ndarray]:
        """Yields silence up to the next frame. Samples before zero are dropped later."""
        self._end = (self._end or 0.0) + gap
        missing = round(self._end * self._rate) - self.length
        self._surplus = max(0, -missing) if self.length == 0 else 0
        while missing > 0:
            silence = np.zeros((min(missing, self._rate), self._channels), self._dtype)
            missing -= len(silence)
            self.length += len(silence)
            yield silence

    def _kept(self, frames: Iterable[AudioFrame]) -> Iterator[np.ndarray]:
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1, self._channels)
            skipped = min(self._surplus, len(samples))
            self._surplus -= skipped
            self.length += len(samples) - skipped
            yield samples[skipped:]


def regrouped(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in arrays of that size; only the last one may be shorter."""
    held: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count >= size:
            joined = np.concatenate(held)
            whole = len(joined) - len(joined) % size
            yield from np.split(joined[:whole], whole // size)
            held, count = [joined[whole:]], len(joined) - whole
    if count:
        yield np.concatenate(held)
