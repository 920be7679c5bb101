"""Step `sync`: whether lips and audio agree, and by how much one is ahead of the other.

SyncNet judges where its weights are. Where they are not, the lips' lag is found from landmarks and
audio alone, over all clips of a track: it is known to 0.1 s, and often not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.evaluate.measures.lip_statistics import LAG_STEP, delay, follow
from latentsync.evaluate.measures.lips import Lips
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.sync.crops import tight_box
from latentsync.evaluate.sync.distances import (
    SHIFTS,
    confidence,
    least_distance,
    mean_curve,
    offset,
)
from latentsync.evaluate.sync.networks import Embedder
from latentsync.evaluate.sync.sanity import check_distances
from latentsync.evaluate.sync.score import TrackScore
from latentsync.evaluate.sync.tracks import FaceTrack
from latentsync.face.speaking_evidence import Speech
from latentsync.models.syncnet import CEPSTRA_PER_FRAME
from latentsync.training.preparation.manifest import (
    DROPPED,
    FRAME_RATE,
    NOT_JUDGED,
    Judged,
    Piece,
)
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.types import Alignment

LEAST_EVIDENCE = 5 * FRAME_RATE
"""Frames without which no lag is believed: of 2.4 s of a woman who is in sync, it was 0.43 s."""
_NOTHING = np.empty((0, 0, 3), np.uint8)
_NO_WEIGHTS = "SyncNet's weights are not here"


@dataclass(frozen=True, slots=True)
class Lag:
    """Of the lips, without a network. delay_ms: above 0: they are late, so that the audio is ahead;
    nan: not clear. agreement: r of the lips with what the audio predicts; nan: unknown."""

    delay_ms: float = math.nan
    agreement: float = math.nan


class ClipSync:
    """SyncNet on one clip, whose frames come in order."""

    def __init__(
        self, start: int, alignments: Sequence[Alignment], cepstra: np.ndarray, embedder: Embedder
    ) -> None:
        """start: frame at 25 a second that the clip begins with; alignments: of all of its frames.
        cepstra: (M, 13) MFCC of the whole source."""
        track = FaceTrack(start, np.stack([tight_box(one) for one in alignments]))
        self._score = TrackScore(track, cepstra[CEPSTRA_PER_FRAME * start :], embedder)
        self._embedder = embedder

    def add(self, pixels: np.ndarray, instant: int) -> None:
        """pixels: (H, W, 3) uint8 RGB, the source's frame at that instant."""
        if self._score.wants(instant):
            self._score.add(pixels, instant)

    def rows(self) -> np.ndarray:
        """(L, 31), see evaluate.sync.distances."""
        return self._score.rows()

    def judged(self, piece: Piece, settings: PreparationSettings) -> Judged:
        """After the last frame."""
        rows = self.rows()
        if not len(rows):
            return Judged(piece, DROPPED, "there is no audio to compare with")
        try:
            check_distances(np.column_stack([rows, np.zeros(len(rows))]), self._embedder.path)
        except CheckpointError as error:
            return Judged(piece, NOT_JUDGED, " ".join(str(error).split()))
        curve = mean_curve(rows[:, :SHIFTS])
        return judge_offset(
            piece, offset(curve), confidence(curve), least_distance(curve), settings
        )


def judge_offset(
    piece: Piece, frames: int, sure: float, distance: float, settings: PreparationSettings
) -> Judged:
    """frames: by which the audio is ahead. sure: SyncNet's confidence."""
    figures = {"offset": float(frames), "confidence": sure, "distance": distance}
    if sure < settings.min_confidence:
        reason = f"SyncNet's confidence is {sure:.2f} (--min_confidence)"
        return Judged(piece, DROPPED, reason, figures)
    if abs(frames) > settings.max_offset:
        reason = f"the audio is {frames:+d} frames ahead (--max_offset)"
        return Judged(piece, DROPPED, reason, figures)
    return Judged(
        piece,
        reason=f"audio moved by {frames / FRAME_RATE:+.2f} s" if frames else "",
        figures=figures,
    )


def lag_of(runs: Sequence[tuple[int, Sequence[Alignment]]], speech: Speech) -> Lag:
    """runs: of clips of one track: first frame at 25 a second, and its alignments."""
    if sum(len(alignments) for _, alignments in runs) < LEAST_EVIDENCE:
        return Lag()
    lips = Lips(speech)
    for start, alignments in runs:
        for index, one in enumerate(alignments, start):
            lips.add(_pair(index, one, follows=index > start))
    found = {one.name: one.rows for one in lips.results()}
    if not found:
        return Lag()
    return Lag(delay(found["lip_delay"]), follow(found["lips_follow_prediction"]))


def judge_lag(piece: Piece, lag: Lag, settings: PreparationSettings) -> Judged:
    """Without SyncNet."""
    figures = {"lip_delay_ms": lag.delay_ms, "lip_agreement": lag.agreement}
    known = {name: value for name, value in figures.items() if not math.isnan(value)}
    if math.isnan(lag.delay_ms):
        reason = f"{_NO_WEIGHTS}, and the lag of the lips is not clear without"
        return Judged(piece, NOT_JUDGED, reason, known)
    seconds = lag.delay_ms / 1000
    if abs(seconds) > settings.max_offset * LAG_STEP:
        how = "late" if seconds > 0 else "early"
        reason = f"lips are {abs(seconds):.2f} s {how} (--max_offset), by landmarks: {_NO_WEIGHTS}"
        return Judged(piece, DROPPED, reason, known)
    reason = f"by landmarks, to 0.1 s; the audio was not moved: {_NO_WEIGHTS}"
    return Judged(piece, reason=reason, figures=known)


def _pair(index: int, one: Alignment, *, follows: bool) -> FramePair:
    face = SeenFace(one.landmarks, one.matrix, one.track)
    at = index / FRAME_RATE
    return FramePair(index, at, _NOTHING, None, face, None, follows, _NOTHING)
