"""Whether lips move as the speech demands, from landmarks and audio alone; no weights.

Lips are compared with the level of the speech, and with the lip shape that a map for all speakers
predicts from it (speech.mouth_prediction). Both are local: values are less their mean over WINDOW,
so that neither pose nor a change of persons counts as motion of the lips.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.measures.lip_statistics import (
    LAG_STEP,
    LAGS,
    LIPS,
    delay,
    follow,
    relative_spread,
    spread,
    stillness,
)
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.statistics import Measured, correlation
from latentsync.face.speaking_evidence import AUDIO_RATE, Speech
from latentsync.generate.replay.lips import lip_shape

WINDOW = 5.0
"""Seconds whose mean is taken from lips and audio."""
FEWEST = 40
"""Frames for that mean: where only bursts of frames are measured, a wider window holds them."""
SPOKEN = 20
"""Frames with speech without which lips are not judged."""
APART = 0.15
"""Seconds that a frame in a pause is away from speech: lips open before it is heard, and close
after it."""
SHUT = 5
"""Percentile of a track's aperture that counts as shut."""
MOST = 9000
"""Rows for a delay, 95 numbers each, of any video."""
NO_LAG = np.zeros(1)
_SMOOTH = 5  # instants of the audio that are averaged

FIGURES = (
    Figure(
        name="lips_follow_speech",
        group="sync",
        title="lips follow the loudness of the speech",
        unit="r",
        better="higher",
        how="Correlation of the lips' aperture with the level of the audio, 300 to 3000 Hz, both "
        "less their mean over 5 s. People differ much here: it has no limits.",
        statistic=correlation,
        window=3.0,
        grain=0.05,
        needs=("speech",),
    ),
    Figure(
        name="lips_follow_prediction",
        group="sync",
        title="lips follow the shape that the speech predicts",
        unit="r",
        better="higher",
        how="Correlation of the lips' aperture (two thirds) and width (one third) with what a "
        "linear map for all speakers predicts from the audio, all less their mean over 5 s. "
        "0 for the speech of somebody else.",
        statistic=follow,
        window=3.0,
        grain=0.05,
        good=0.2,
        poor=0.05,
        needs=("speech",),
    ),
    Figure(
        name="lip_delay",
        group="sync",
        title="lips are late by",
        unit="ms",
        better="near",
        how="The shift between -600 and 600 ms at which the lips correlate best with the level, "
        "the aperture and the width that the audio predicts, found by a parabola; below 0: lips "
        "are early. Unknown where no shift stands out.",
        statistic=delay,
        window=8.0,
        grain=20.0,
        good=140.0,
        poor=240.0,
        needs=("speech",),
    ),
    Figure(
        name="lips_move_in_speech",
        group="sync",
        title="lips move while speech is heard",
        unit="%",
        better="higher",
        how="Spread of the lips' aperture around its mean over 5 s, in frames with speech, as a "
        "share of the distance between the brows.",
        statistic=spread,
        window=2.0,
        grain=0.2,
        good=2.2,
        poor=1.2,
        needs=("speech",),
    ),
    Figure(
        name="lips_move_as_source",
        group="sync",
        title="lips move as much as the source's own",
        unit="",
        better="near",
        goal=1.0,
        how="Spread of the lips' aperture while speech is heard with the result, over that of the "
        "source's lips in its own speech.",
        statistic=relative_spread,
        window=5.0,
        grain=0.05,
        good=0.5,
        poor=0.8,
        needs=("source", "speech"),
    ),
    Figure(
        name="lips_still_in_pauses",
        group="sync",
        title="lips are still and shut in pauses",
        unit="",
        better="lower",
        how="The lips' opening, and its change from frame to frame, in pauses of the speech over "
        "the same in speech; the mean of both ratios. 1: as in speech.",
        statistic=stillness,
        window=5.0,
        grain=0.05,
        good=0.9,
        poor=1.2,
        needs=("speech",),
    ),
)


class Lips:
    """A Measure of FIGURES. It keeps 50 bytes a frame."""

    def __init__(self, speech: Speech, source_speech: Speech | None = None) -> None:
        """speech: what is heard with the result, see pipeline.speaking.measure_speech, on the time
        axis of the pairs. source_speech: the source's own, where source frames are shown at the
        times at which they were filmed; None: it has none, or they are shown at others."""
        self._speech, self._source_speech = speech, source_speech
        self._seconds, self._tracks, self._follows = array("d"), array("q"), array("b")
        self._lips, self._source_lips = array("d"), array("d")

    def add(self, pair: FramePair) -> None:
        self._seconds.append(pair.seconds)
        self._tracks.append(-1 if pair.face is None else pair.face.track)
        self._follows.append(pair.follows)
        self._lips.extend(_shape(pair.face))
        self._source_lips.extend(_shape(pair.source_face))

    def results(self) -> list[Measured]:
        seconds, tracks = np.array(self._seconds), np.array(self._tracks)
        follows = np.array(self._follows, bool)
        lips = LipTrace.of(seconds, tracks, follows, self._lips, self._speech)
        if lips.spoken.sum() < SPOKEN:
            return []
        found = [*_following(lips, self._speech), *_moving(lips)]
        if self._source_speech is not None:
            own = LipTrace.of(seconds, tracks, follows, self._source_lips, self._source_speech)
            if own.spoken.sum() >= SPOKEN:
                found.append(_as_source(lips, own))
        return found


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
        """(F, C) -> the same, less the mean over WINDOW around each frame in its track; over FEWEST
        frames where that is longer."""
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
        """At most 30 frames a second, and about MOST in all."""
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


def _shape(face: SeenFace | None) -> np.ndarray:
    return np.full(2, np.nan) if face is None else lip_shape(face.landmarks[None])[0]


def _following(lips: LipTrace, speech: Speech) -> Iterator[Measured]:
    shapes = lips.local(lips.shapes)
    level, *predicted = lips.local(_signals(speech, lips.seconds)[:, :, 0]).T
    yield Measured("lips_follow_speech", lips.seconds, np.stack([shapes[:, 0], level], axis=1))
    rows = np.stack([shapes[:, 0], predicted[0], shapes[:, 1], predicted[1]], axis=1)
    yield Measured("lips_follow_prediction", lips.seconds, rows)
    thin = lips.thinned()
    shifted = _signals(speech, thin.seconds, LAGS).reshape(len(thin.seconds), -1)
    rows = thin.local(np.concatenate([thin.shapes, shifted], axis=1))
    yield Measured("lip_delay", thin.seconds, rows)


def _moving(lips: LipTrace) -> Iterator[Measured]:
    deviation = 100 * lips.local(lips.shapes)[lips.spoken, :1]
    yield Measured("lips_move_in_speech", lips.seconds[lips.spoken], deviation)
    columns = []
    for values in (lips.opening(), lips.moved):
        for where in (lips.paused, lips.spoken):
            counted = where & np.isfinite(values)
            columns += [np.where(counted, values, 0.0), counted.astype(float)]
    yield Measured("lips_still_in_pauses", lips.seconds, np.stack(columns, axis=1))


def _as_source(lips: LipTrace, own: LipTrace) -> Measured:
    """Moments of both; those of each alone count as none of the other."""
    seconds = np.union1d(lips.seconds, own.seconds)
    rows = np.zeros((len(seconds), 4))
    for column, trace in ((0, lips), (2, own)):
        at = np.searchsorted(seconds, trace.seconds)
        rows[at, column] = np.where(trace.spoken, trace.local(trace.shapes)[:, 0] ** 2, 0.0)
        rows[at, column + 1] = trace.spoken
    return Measured("lips_move_as_source", seconds, rows)


def _signals(speech: Speech, seconds: np.ndarray, lags: np.ndarray = NO_LAG) -> np.ndarray:
    """(F, 3, L): level, predicted aperture and width as they would be, were the lips late."""
    at = seconds[:, None] - lags * LAG_STEP
    instants = np.arange(len(speech.signals)) / AUDIO_RATE
    box = np.full(_SMOOTH, 1 / _SMOOTH)
    smooth = (
        np.convolve(np.pad(column, _SMOOTH // 2, mode="edge"), box, mode="valid")
        for column in speech.signals.T[: len(LIPS)].astype(np.float64)
    )
    return np.stack([np.interp(at, instants, column) for column in smooth], axis=1)


def _widened(flags: np.ndarray, reach: int) -> np.ndarray:
    """(T,) bool -> (T,): whether any within reach is set."""
    total = np.concatenate([[0], np.cumsum(flags)])
    places = np.arange(len(flags))
    after, first = (places + reach + 1).clip(None, len(flags)), (places - reach).clip(0)
    return np.asarray(total[after] > total[first])
