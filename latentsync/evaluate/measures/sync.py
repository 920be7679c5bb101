"""Sync of lips and audio as LatentSync's own evaluation computes it.

The rows are those of evaluate.sync.score: distances at 31 shifts, and the number of a track.
Upstream computes offset and confidence for each track and averages them; so do these figures. A
part of a video, or a draw of the bootstrap, may hold little of a track: with fewer than FEWEST
windows a curve is too noisy to count, unless there is no longer one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.statistics import Measured, mean
from latentsync.evaluate.sync.distances import (
    SHIFTS,
    confidence,
    least_distance,
    mean_curve,
    offset,
)

FEWEST = 25
"""Windows of a track, hence a second. Upstream's shortest track has 46."""


SYNCNET = ("sync_offset", "sync_distance", "sync_confidence")
"""Figures of the classic SyncNet: three statistics of the same rows."""
STABLE = "stable_sync"


def measured_sync(seconds: np.ndarray, rows: np.ndarray) -> list[Measured]:
    """seconds: (K,), rows: (K, 32), see evaluate.sync.score -> one for each of SYNCNET."""
    return [Measured(name, seconds, rows) for name in SYNCNET]


def offset_of_tracks(rows: np.ndarray) -> float:
    """rows: (K, 32) -> frames of 40 ms, whole: the mean of the tracks, truncated toward zero."""
    return float(np.trunc(_mean_of_tracks(rows, offset))) if len(rows) else float("nan")


def distance_of_tracks(rows: np.ndarray) -> float:
    """rows: (K, 32) -> LSE-D, the mean of the tracks."""
    return _mean_of_tracks(rows, least_distance)


def confidence_of_tracks(rows: np.ndarray) -> float:
    """rows: (K, 32) -> LSE-C, the mean of the tracks."""
    return _mean_of_tracks(rows, confidence)


def _mean_of_tracks(rows: np.ndarray, of: Callable[[np.ndarray], float]) -> float:
    if not len(rows):
        return float("nan")
    distances, numbers = rows[:, :SHIFTS], rows[:, SHIFTS]
    tracks = [distances[numbers == number] for number in np.unique(numbers)]
    long = [track for track in tracks if len(track) >= FEWEST]
    return float(np.mean([of(mean_curve(track)) for track in long or [distances]]))


FIGURES = (
    Figure(
        name="sync_offset",
        group="sync",
        title="Offset of the audio",
        unit="frames of 40 ms",
        better="near",
        how="SyncNet (Chung and Zisserman 2016) compares 0.2 s of lips with the audio at 31 shifts "
        "of 40 ms: the shift with the least distance, averaged over each track of the face. "
        "Positive: the audio is early.",
        statistic=offset_of_tracks,
        window=3.0,
        grain=0.5,
        # ITU-R BT.1359: noticed from 45 ms early or 125 ms late, accepted up to 90 ms early or
        # 185 ms late. One frame is good, three are poor. LatentSync's own data filter allows 6.
        good=1.5,
        poor=2.5,
        needs=("speech", "syncnet"),
    ),
    Figure(
        name="sync_distance",
        group="sync",
        title="Distance of lips and audio (LSE-D)",
        unit="",
        better="lower",
        how="The distance of SyncNet's embeddings of lips and audio at that shift.",
        statistic=distance_of_tracks,
        window=3.0,
        grain=0.2,
        # Unrelated lips and audio are 14 to 15 apart: that less the limits of LSE-C below.
        good=9.5,
        poor=11.5,
        needs=("speech", "syncnet"),
    ),
    Figure(
        name="sync_confidence",
        group="sync",
        title="Sync confidence (LSE-C)",
        unit="",
        better="higher",
        how="How far that distance lies below the median of the distances at all 31 shifts.",
        statistic=confidence_of_tracks,
        window=3.0,
        grain=0.2,
        # Filmed faces of HDTF have 7.95, LatentSync 8.10 (the table of Lip Forcing, 2026).
        # LatentSync trains on nothing below 3.
        good=5.0,
        poor=3.0,
        needs=("speech", "syncnet"),
    ),
    Figure(
        name=STABLE,
        group="sync",
        title="Agreement by StableSyncNet",
        unit="",
        better="higher",
        how="The cosine of StableSyncNet's embeddings of 16 frames and of their 0.65 s of audio, 0 "
        "to 1, averaged over windows that follow each other. Above 0.5 they count as in sync.",
        statistic=mean,
        window=3.0,
        grain=0.02,
        # Nobody has published values of it, only the limit of 0.5: no judgement.
        needs=("speech", "stable_syncnet"),
    ),
)
