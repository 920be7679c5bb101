"""Accuracy of StableSyncNet over a list of videos; see accuracy.py for what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from latentsync.errors import LatentSyncError, MediaError
from latentsync.evaluate.heard import heard_with
from latentsync.evaluate.sync.accuracy import PAIRS, Accuracy
from latentsync.evaluate.sync.faces_seen import faces_seen
from latentsync.evaluate.sync.measure import measure_accuracy
from latentsync.evaluate.sync.stable_score import Agreement
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress

SEED = 1247


def accuracy_of_videos(
    engine: Engine,
    videos: Sequence[Path],
    agrees: Agreement,
    *,
    pairs: int = PAIRS,
    seed: int = SEED,
    failed: Callable[[Path, LatentSyncError], None],
    progress: Progress = no_progress,
) -> Accuracy:
    """engine: see pairs_of_files.evaluation_engine. agrees: StableSyncNetAgreement. pairs: of each
    video. failed: called for a video that cannot be used, which is left out."""
    total = Accuracy()
    for number, path in enumerate(videos):
        try:
            total += _of_video(engine, path, agrees, pairs, seed + number, progress)
        except LatentSyncError as error:
            failed(path, error)
    return total


def _of_video(
    engine: Engine, path: Path, agrees: Agreement, pairs: int, seed: int, progress: Progress
) -> Accuracy:
    info = probe(path)
    heard = heard_with(info)
    if heard is None:
        raise MediaError("the video has no audio", path, "leave it out of the list")
    faces = faces_seen(engine, info, progress=progress)
    found = measure_accuracy(faces, heard, agrees, pairs=pairs, seed=seed, progress=progress)
    if not found.pairs:
        remedy = "leave it out: a face with its audio is needed for 0.7 s in one go"
        raise MediaError("the video has no pair to compare", path, remedy)
    return found


def listed_videos(path: Path) -> list[Path]:
    """One path a line, as LatentSync's file lists; relative ones are below the list's folder.

    Raises MediaError: the list cannot be read, or is empty.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError("the list cannot be read", path, str(error)) from None
    videos = [path.parent / line.strip() for line in lines if line.strip()]
    if not videos:
        raise MediaError("the list names no video", path, "write one path a line into it")
    return videos
