"""Sync of a finished video: finds the faces, decodes it once more, and runs the networks.

Every frame counts, not a sample of them: a window is 0.2 s of neighbouring frames, and upstream's
figures are means over whole tracks. SyncNet takes about 50 ms of a core for each 1/25 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from latentsync.evaluate.measures.sync import STABLE, SYNCNET, measured_sync
from latentsync.evaluate.statistics import Measured
from latentsync.evaluate.sync.accuracy import PAIRS, Accuracy, drawn_pairs, told
from latentsync.evaluate.sync.crops import runs_of_tracks, tight_tracks
from latentsync.evaluate.sync.instants import at_instants, counted, instants
from latentsync.evaluate.sync.networks import Embedder
from latentsync.evaluate.sync.sanity import check_distances
from latentsync.evaluate.sync.score import SyncScore
from latentsync.evaluate.sync.stable_score import (
    Agreement,
    AlignedRun,
    StableScore,
    pairs_in_order,
)
from latentsync.evaluate.sync.tracks import SHORTEST, SMALLEST, FaceTrack, shot_tracks
from latentsync.media.probe import VideoInfo
from latentsync.media.reader import VideoReader
from latentsync.models.syncnet import FRAME_RATE
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.session import Session
from latentsync.settings.schema import Config
from latentsync.speech.mfcc import mfcc_of_blocks
from latentsync.speech.sync_mel import sync_mel_of_blocks

TOO_SHORT = (
    f"no face is seen, with audio, for more than {SHORTEST / FRAME_RATE:g} s without a break"
)
TOO_SMALL = f"the face is smaller than {SMALLEST} pixels, and SyncNet is not used on such"
SILENT = "the audio is silent"
_LEAST_SOUND = 0.5  # standard deviation of the natural logarithm of the audio's energy


@dataclass(frozen=True, slots=True, eq=False)
class SyncNetworks:
    """What sync is measured with; None: not with it.

    boxes: S3FD, (H, W, 3) uint8 RGB -> (N, 5) boxes and scores, see models.s3fd.detect; None: boxes
    of the faces that the engine finds, see crops.py.
    """

    syncnet: Embedder | None = None
    stable: Agreement | None = None
    boxes: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SyncMeasured:
    """not_measured: by name of a figure, why."""

    measured: list[Measured] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)


class Collector(Protocol):
    """Takes frames at instants, in order."""

    def wants(self, instant: int) -> bool: ...

    def add(self, pixels: np.ndarray, instant: int) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class FacesSeen:
    """The faces of a finished video. analyses: of each speaker. shown: see instants.instants."""

    result: VideoInfo
    analyses: Sequence[SourceAnalysis]
    shown: np.ndarray

    @property
    def tracks(self) -> list[FaceTrack]:
        """With the boxes that crops.py derives; some may be too small."""
        return [
            track for one in self.analyses for track in tight_tracks(one.alignments, self.shown)
        ]

    @property
    def runs(self) -> list[AlignedRun]:
        return [
            AlignedRun(start, np.stack([face.matrix for face in faces]))
            for one in self.analyses
            for start, faces in runs_of_tracks(one.alignments, self.shown)
        ]

    @property
    def shots(self) -> np.ndarray:
        """(T,) number of the shot at each instant."""
        numbers: np.ndarray = np.cumsum(self.analyses[0].cuts)[self.shown]
        return numbers


def faces_seen(
    engine: Engine,
    result: VideoInfo,
    *,
    config: Config | None = None,
    progress: Progress = no_progress,
) -> FacesSeen:
    """engine: see pairs_of_files.evaluation_engine. config: says whose face; None: the engine's.
    Raises as Session.analyze does."""
    with Session(engine, result, config=config) as session:
        session.analyze(progress)
        analyses = [lane.analysis for lane in session.lanes]
    first = analyses[0]
    shown = instants(first.pts_seconds, first.end(result.average_rate))
    return FacesSeen(result, analyses, shown)


def measure_sync(
    faces: FacesSeen,
    heard: Iterable[np.ndarray],
    networks: SyncNetworks,
    *,
    progress: Progress = no_progress,
) -> SyncMeasured:
    """heard: blocks of the audio, (n,) float32 mono at 16 kHz, that begin with the video's zero;
    iterated once for each network.

    Raises CheckpointError: the weights of SyncNet measure nothing, see sanity.py; and MediaError.
    """
    found = SyncMeasured()
    score = stable = None
    if networks.syncnet is not None:
        score = _syncnet_score(faces, heard, networks, found, progress)
    if networks.stable is not None:
        stable = _stable_score(faces, heard, networks.stable)
    collectors: list[Collector] = [one for one in (score, stable) if one is not None]
    collect(faces, collectors, progress)
    if score is not None and networks.syncnet is not None:
        done = score.result()
        check_distances(done.rows, networks.syncnet.path)
        found.measured.extend(measured_sync(done.seconds, done.rows))
    if stable is not None:
        found.measured.append(_of_pairs(stable))
    return found


def measure_accuracy(
    faces: FacesSeen,
    heard: Iterable[np.ndarray],
    agrees: Agreement,
    *,
    pairs: int = PAIRS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Accuracy:
    """Of StableSyncNet on one video; those of a list add up, see accuracy.py. seed: for each video
    another one. heard: as for measure_sync."""
    mel = sync_mel_of_blocks(heard)
    score = StableScore(drawn_pairs(faces.runs, mel, count=pairs, seed=seed), mel, agrees)
    collect(faces, [score], progress)
    return told(score.pairs, score.cosines)


def collect(faces: FacesSeen, collectors: Sequence[Collector], progress: Progress) -> None:
    """Decodes the video once for all of them."""

    def wanted(instant: int) -> bool:
        return any(one.wants(instant) for one in collectors)

    if not collectors:
        return
    with progress("measuring sync", faces.result.frame_count) as step:
        frames = counted(VideoReader(faces.result), step)
        for pixels, instant in at_instants(frames, faces.shown, wanted):
            for one in collectors:
                if one.wants(instant):
                    one.add(pixels, instant)


def _syncnet_score(
    faces: FacesSeen,
    heard: Iterable[np.ndarray],
    networks: SyncNetworks,
    found: SyncMeasured,
    progress: Progress,
) -> SyncScore | None:
    assert networks.syncnet is not None
    cepstra = mfcc_of_blocks(heard)
    reason = None
    tracks = faces.tracks
    if networks.boxes is not None:
        tracks = _boxed_tracks(faces, networks.boxes, progress)
    usable = [track for track in tracks if track.size > SMALLEST]
    score = SyncScore(usable, cepstra, networks.syncnet)
    if not len(cepstra) or cepstra[:, 0].std() < _LEAST_SOUND:
        reason = SILENT
    elif tracks and not usable:
        reason = TOO_SMALL
    elif not score.windows:
        reason = TOO_SHORT
    if reason is None:
        return score
    found.not_measured.update(dict.fromkeys(SYNCNET, reason))
    return None


def _boxed_tracks(
    faces: FacesSeen, boxes: Callable[[np.ndarray], np.ndarray], progress: Progress
) -> list[FaceTrack]:
    """Upstream's tracks, of all faces that the detector finds."""
    shots = faces.shots
    found: list[list[np.ndarray]] = []
    with progress("finding faces with S3FD", faces.result.frame_count) as step:
        frames = counted(VideoReader(faces.result), step)
        for pixels, _ in at_instants(frames, faces.shown, lambda _: True):
            found.append([box[:4] for box in boxes(pixels)])
    return shot_tracks(found, shots[: len(found)])


def _stable_score(faces: FacesSeen, heard: Iterable[np.ndarray], agrees: Agreement) -> StableScore:
    return StableScore(pairs_in_order(faces.runs), sync_mel_of_blocks(heard), agrees)


def _of_pairs(score: StableScore) -> Measured:
    seconds = np.array([pair.middle for pair in score.pairs])
    order = np.argsort(seconds, kind="stable")
    return Measured(STABLE, seconds[order], score.cosines[order, None])
