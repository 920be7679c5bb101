"""Sync of a finished video with the audio that is heard with it: the rows of the figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.evaluate.measures.sync import STABLE, SYNCNET, measured_sync
from latentsync.evaluate.statistics import Measured
from latentsync.evaluate.sync.accuracy import PAIRS, Accuracy, drawn_pairs, told
from latentsync.evaluate.sync.faces_seen import FacesSeen, collect
from latentsync.evaluate.sync.instants import at_instants, counted
from latentsync.evaluate.sync.networks import Embedder
from latentsync.evaluate.sync.sanity import check_distances
from latentsync.evaluate.sync.score import SyncScore
from latentsync.evaluate.sync.stable_score import Agreement, StableScore, pairs_in_order
from latentsync.evaluate.sync.tracks import (
    SHORTEST,
    SMALLEST,
    FaceTrack,
    follows,
    long_enough,
    shot_tracks,
)
from latentsync.models.stable_syncnet import FRAMES
from latentsync.models.syncnet import FRAME_RATE
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.speech.mfcc import mfcc_of_blocks
from latentsync.speech.sync_mel import sync_mel_of_blocks

logger = logging.getLogger(__name__)

TOO_SHORT = f"no face is seen, with audio, for more than {SHORTEST / FRAME_RATE:g} s in one go"
TOO_SHORT_FOR_STABLE = f"no face is seen, with audio, for {FRAMES / FRAME_RATE:g} s in one go"
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
    """measured: see measures.sync. not_measured: by name of a figure, why."""

    measured: list[Measured] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)

    def lack(self, names: Iterable[str], reason: str) -> None:
        self.not_measured.update(dict.fromkeys(names, reason))


def measure_sync(
    faces: FacesSeen,
    heard: Iterable[np.ndarray],
    networks: SyncNetworks,
    *,
    progress: Progress = no_progress,
) -> SyncMeasured:
    """heard: blocks of the audio, (n,) float32 mono at 16 kHz, that begin with the video's zero;
    iterated once for each network.

    Weights of SyncNet that measure nothing, see sanity.py, give no figure but a reason, and a
    warning. Raises MediaError.
    """
    found = SyncMeasured()
    score = stable = None
    if networks.syncnet is not None:
        tracks = _tracks(faces, networks.boxes, progress)
        score = _syncnet_score(tracks, mfcc_of_blocks(heard), networks.syncnet, found)
    if networks.stable is not None:
        stable = _stable_score(faces, sync_mel_of_blocks(heard), networks.stable, found)
    collect(faces, [one for one in (score, stable) if one is not None], progress)
    if score is not None and networks.syncnet is not None:
        _of_windows(score, networks.syncnet, found)
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


def _tracks(
    faces: FacesSeen, boxes: Callable[[np.ndarray], np.ndarray] | None, progress: Progress
) -> list[FaceTrack]:
    """boxes: of S3FD: then upstream's tracks of the speakers; upstream takes those of all faces."""
    own = faces.tracks
    if boxes is None:
        return [track for track in own if long_enough(track)]
    found: list[list[np.ndarray]] = [[] for _ in faces.shown]
    with progress("finding faces with S3FD", faces.source.info.frame_count) as step:
        frames = counted(faces.source, step)
        for pixels, instant in at_instants(frames, faces.shown, lambda _: True):
            found[instant] = [box[:4] for box in boxes(pixels)]
    return [track for track in shot_tracks(found, faces.shots) if follows(track, own)]


def _syncnet_score(
    tracks: list[FaceTrack], cepstra: np.ndarray, embedder: Embedder, found: SyncMeasured
) -> SyncScore | None:
    """None: a reason was found."""
    usable = [track for track in tracks if track.size > SMALLEST]
    score = SyncScore(usable, cepstra, embedder)
    reason = None
    if not len(cepstra) or cepstra[:, 0].std() < _LEAST_SOUND:
        reason = SILENT
    elif tracks and not usable:
        reason = TOO_SMALL
    elif not score.windows:
        reason = TOO_SHORT
    if reason is None:
        return score
    found.lack(SYNCNET, reason)
    return None


def _of_windows(score: SyncScore, embedder: Embedder, found: SyncMeasured) -> None:
    """Adds the figures of SyncNet, or why its weights give none."""
    done = score.result()
    try:
        check_distances(done.rows, embedder.path)
    except CheckpointError as error:
        logger.warning("%s", error)
        found.lack(SYNCNET, str(error))
    else:
        found.measured.extend(measured_sync(done.seconds, done.rows))


def _stable_score(
    faces: FacesSeen, mel: np.ndarray, agrees: Agreement, found: SyncMeasured
) -> StableScore | None:
    score = StableScore(pairs_in_order(faces.runs), mel, agrees)
    if score.count:
        return score
    found.lack([STABLE], TOO_SHORT_FOR_STABLE)
    return None


def _of_pairs(score: StableScore) -> Measured:
    seconds = np.array([pair.middle for pair in score.pairs])
    order = np.argsort(seconds, kind="stable")
    return Measured(STABLE, seconds[order], score.cosines[order, None])
