"""The lips of a face along a video, and when speech is heard with them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, fields

import numpy as np

from latentsync.face.speaking_evidence import AUDIO_RATE, Speech

WINDOW = 5.0
"""Seconds whose mean is taken from lips and audio."""
FEWEST = 40
"""Frames for that mean: where only bursts of frames are measured, a wider window holds them."""
APART = 0.15
"""Seconds that a frame in a pause is away from speech: lips open before it is heard, and close
after it."""
SHUT = 5
"""Percentile of a track's aperture that counts as shut."""
MOST = 4500
"""Frames that are compared with the audio at many shifts, of any video."""


@dataclass(frozen=True, slots=True, eq=False)
class LipTrace:
    """Lips in those frames in which a face is seen and there is audio.

    seconds, tracks: (F,). shapes: (F, 2) aperture and width [brow distances]. moved: (F,) change of
    the aperture from the frame before; nan: that is not known. spoken: (F,) bool, speech is heard.
    paused: (F,) bool, it is not, nor was or will be for APART.
    """

    seconds: np.ndarray
    tracks: np.ndarray
    shapes: np.ndarray
    moved: np.ndarray
    spoken: np.ndarray
    paused: np.ndarray

    @classmethod
    def of(
        cls,
        seconds: np.ndarray,
        tracks: np.ndarray,
        follows: np.ndarray,
        lips: array[float],
        speech: Speech,
    ) -> LipTrace:
        """(F,) each; lips: 2 F numbers, nan where no face is seen."""
        shapes = np.array(lips).reshape(-1, 2)
        moved = np.where(follows, np.abs(np.diff(shapes[:, 0], prepend=np.nan)), np.nan)
        near = _widened(speech.speech, round(APART * AUDIO_RATE))
        instants = np.floor(seconds * AUDIO_RATE + 1e-6).astype(np.int64)
        known = np.isfinite(shapes).all(axis=1) & (instants >= 0)
        known &= instants < len(speech.speech)
        at = instants[known]
        return cls(
            *(seconds[known], tracks[known], shapes[known], moved[known]),
            *(speech.speech[at], ~near[at]),
        )

    def local(self, values: np.ndarray) -> np.ndarray:
        """(F, C) -> the same, less the mean around each frame in its track: over WINDOW, or over
        FEWEST frames where that is longer."""
        out = np.empty(values.shape)
        for track in np.unique(self.tracks):
            places = np.flatnonzero(self.tracks == track)
            first, after = _around(self.seconds[places])
            sums = np.cumsum(values[places], axis=0)
            sums = np.concatenate([np.zeros((1, values.shape[1])), sums])
            out[places] = values[places] - (sums[after] - sums[first]) / (after - first)[:, None]
        return out

    def opening(self) -> np.ndarray:
        """(F,) aperture above that of the shut mouth of the track, 0 and more."""
        out = np.empty(len(self.seconds))
        for track in np.unique(self.tracks):
            own = self.tracks == track
            out[own] = self.shapes[own, 0] - np.percentile(self.shapes[own, 0], SHUT)
        return out.clip(0)

    def thinned(self) -> LipTrace:
        """At most 30 frames a second, and MOST in all, or somewhat fewer."""
        kept = np.flatnonzero(np.diff(np.floor(self.seconds * 30 + 0.01), prepend=-1.0) > 0)
        kept = kept[:: 1 + len(kept) // MOST]
        return LipTrace(*(getattr(self, one.name)[kept] for one in fields(self)))


def _around(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F,) -> (F,), (F,): first frame of the window around each, and the one after its last."""
    count = len(seconds)
    nearest = (np.arange(count) - FEWEST // 2).clip(0, max(0, count - FEWEST))
    first = np.searchsorted(seconds, seconds - WINDOW / 2)
    after = np.searchsorted(seconds, seconds + WINDOW / 2, side="right")
    return np.minimum(first, nearest), np.maximum(after, (nearest + FEWEST).clip(None, count))


def _widened(flags: np.ndarray, reach: int) -> np.ndarray:
    """(T,) bool -> (T,): whether any within reach is set."""
    total = np.concatenate([[0], np.cumsum(flags)])
    places = np.arange(len(flags))
    after, first = (places + reach + 1).clip(None, len(flags)), (places - reach).clip(0)
    return np.asarray(total[after] > total[first])
