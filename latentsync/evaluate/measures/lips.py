"""Whether lips move as the speech demands, from landmarks and audio alone; no weights.

Lips are compared with the level of the speech, and with the lip shape that a map for all speakers
predicts from it (speech.mouth_prediction). Both are local: values are less their mean over WINDOW,
so that neither pose nor a change of persons counts as motion of the lips.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

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
from latentsync.evaluate.measures.lip_trace import LipTrace
from latentsync.evaluate.measures.own_prediction import own_prediction
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.statistics import Measured, correlation
from latentsync.face.speaking_evidence import AUDIO_RATE, Speech
from latentsync.generate.replay.lips import lip_shape
from latentsync.speech.acoustic import Acoustics

SPOKEN = 20
"""Frames with speech without which lips are not judged."""
NO_LAG = np.zeros(1)
_SMOOTH = 5  # instants of the audio that are averaged

FIGURES = (
    Figure(
        name="lips_follow_speech",
        group="sync",
        title="agreement of the lips with the loudness of the speech",
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
        title="agreement of the lips with the shape that the speech predicts",
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
        name="lips_follow_own_prediction",
        group="sync",
        title="agreement of the lips with what the speaker's own would do",
        unit="r",
        better="higher",
        how="As before, with what a linear map predicts that is fitted to the source's own lips "
        "and audio, the one of the generator replay. Only where the source's lips follow their "
        "own audio; frames that are predicted do not take part in the fit.",
        statistic=follow,
        window=3.0,
        grain=0.05,
        good=0.25,
        poor=0.1,
        needs=("source", "speech"),
    ),
    Figure(
        name="lip_delay",
        group="sync",
        title="delay of the lips",
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
        title="motion of the lips in speech",
        unit="%",
        better="higher",
        how="Spread of the lips' aperture around its mean over 5 s, in frames with speech, as a "
        "share of the distance between the brows.",
        statistic=spread,
        window=2.0,
        grain=0.2,
        good=1.8,
        poor=1.0,
        needs=("speech",),
    ),
    Figure(
        name="lips_move_as_source",
        group="sync",
        title="motion of the lips against the source's own",
        unit="",
        better="near",
        goal=1.0,
        how="Spread of the lips' aperture while speech is heard with the result, over that of the "
        "source's lips in its own speech.",
        statistic=relative_spread,
        window=5.0,
        grain=0.05,
        good=0.6,
        poor=0.8,
        needs=("source", "speech"),
    ),
    Figure(
        name="lips_still_in_pauses",
        group="sync",
        title="motion of the lips in pauses against that in speech",
        unit="",
        better="lower",
        how="The lips' opening, and its change from frame to frame, in pauses of the speech over "
        "the same in speech; the mean of both ratios. 1: as in speech. Some people's lips never "
        "rest: it has no limits.",
        statistic=stillness,
        window=5.0,
        grain=0.05,
        needs=("speech",),
    ),
)


class Lips:
    """A Measure of FIGURES. It keeps 50 bytes a frame."""

    def __init__(
        self,
        speech: Speech,
        source_speech: Speech | None = None,
        *,
        acoustics: Acoustics | None = None,
        source_acoustics: Acoustics | None = None,
    ) -> None:
        """speech: what is heard with the result, see pipeline.speaking.measure_speech, on the time
        axis of the pairs. source_speech: the source's own, where source frames are shown at the
        times at which they were filmed; None: it has none, or they are shown at others. acoustics,
        source_acoustics: of the same audio; one object for both where the speech is the source's.
        """
        self._speech, self._source_speech = speech, source_speech
        self._acoustics, self._source_acoustics = acoustics, source_acoustics
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
                found.extend(self._following_own(lips, own))
        return found

    def _following_own(self, lips: LipTrace, own: LipTrace) -> Iterator[Measured]:
        if self._acoustics is None or self._source_acoustics is None:
            return
        thin = lips.thinned()
        predicted = own_prediction(own, self._source_acoustics, self._acoustics, thin.seconds)
        if predicted is not None:
            rows = thin.local(np.concatenate([thin.shapes, predicted], axis=1))[:, [0, 2, 1, 3]]
            yield Measured("lips_follow_own_prediction", thin.seconds, rows)


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
