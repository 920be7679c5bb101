"""By how much lips and audio of clips differ, measured on a sample of them before a training.

With the classic SyncNet, where its weights are, for each clip, to a frame. Without, from landmarks
and the audio alone, over all clips of the sample together, to 0.1 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsync.errors import LatentSyncError
from latentsync.evaluate.heard import heard_with
from latentsync.evaluate.measures.lip_statistics import delay
from latentsync.evaluate.measures.lips import Lips
from latentsync.evaluate.measures.sync import SYNCNET, confidence_of_tracks, offset_of_tracks
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.sync.faces_seen import FacesSeen, faces_seen
from latentsync.evaluate.sync.measure import SyncNetworks, measure_sync
from latentsync.evaluate.sync.networks import Embedder
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.speaking import measure_speech

_NOTHING = np.empty((0, 0, 3), np.uint8)
FRAME_MS = 40.0


@dataclass(frozen=True, slots=True)
class ClipOffset:
    """frames: by which the audio is ahead. confidence: SyncNet's."""

    clip: str
    frames: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Offsets:
    """clips: each by itself, with SyncNet; empty without. lag_ms: by which the lips are late over
    all clips, without SyncNet; nan: not clear, or SyncNet was there. failed: clip -> why it could
    not be measured."""

    clips: tuple[ClipOffset, ...]
    lag_ms: float
    failed: dict[str, str]


def measure_offsets(
    clips: Sequence[tuple[str, Path]],
    engine: Engine,
    syncnet: Embedder | None,
    *,
    progress: Progress = no_progress,
) -> Offsets:
    """clips: names and files, aligned or not. engine: see pairs_of_files.evaluation_engine.

    Clips that cannot be measured are left out; takes about as long as they last, with SyncNet
    twice.
    """
    found: list[ClipOffset] = []
    failed: dict[str, str] = {}
    lips: list[np.ndarray] = []
    for name, file in clips:
        try:
            faces = faces_seen(engine, probe(file), progress=progress)
            if syncnet is None:
                lips += _lips(file, faces)
            else:
                found += _by_syncnet(name, file, faces, syncnet, progress, failed)
        except LatentSyncError as error:
            failed[name] = str(error)
    lag = delay(np.concatenate(lips)) if lips else math.nan
    return Offsets(tuple(found), lag, failed)


def _by_syncnet(
    name: str,
    file: Path,
    faces: FacesSeen,
    syncnet: Embedder,
    progress: Progress,
    failed: dict[str, str],
) -> list[ClipOffset]:
    heard = heard_with(file)
    assert heard is not None, "clips without audio are left out before"
    measured = measure_sync(faces, heard, SyncNetworks(syncnet=syncnet), progress=progress)
    rows = next((one.rows for one in measured.measured if one.name == SYNCNET[0]), None)
    if rows is None:
        failed[name] = measured.not_measured.get(SYNCNET[0], "nothing could be measured")
        return []
    return [ClipOffset(name, offset_of_tracks(rows), confidence_of_tracks(rows))]


def _lips(file: Path, faces: FacesSeen) -> list[np.ndarray]:
    """Rows of lip_statistics.delay; none if there is too little speech."""
    heard = heard_with(file)
    assert heard is not None, "clips without audio are left out before"
    lips = Lips(measure_speech(heard))
    for analysis in faces.analyses:
        before = -2
        for index, one in enumerate(analysis.alignments):
            if one is None:
                continue
            face = SeenFace(one.landmarks, one.matrix, one.track)
            second = float(analysis.pts_seconds[index])
            follows = index == before + 1
            lips.add(FramePair(index, second, _NOTHING, None, face, None, follows, _NOTHING))
            before = index
    return [one.rows for one in lips.results() if one.name == "lip_delay"]
