"""`evaluate --syncnet_accuracy`: how often StableSyncNet tells right pairs from wrong ones."""

from __future__ import annotations

from pathlib import Path

from latentsync.commands.console import DONE, USER_ERROR, print_error, use_threads
from latentsync.commands.progress import progress_bar
from latentsync.errors import CheckpointError, LatentSyncError
from latentsync.evaluate.networks import load_judges
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.evaluate.sync.accuracy import Accuracy
from latentsync.evaluate.sync.accuracy_of_videos import accuracy_of_videos, listed_videos
from latentsync.pipeline.progress import no_progress
from latentsync.runtime.execution import torch_threads
from latentsync.settings.schema import Config


def print_accuracy(path: Path, config: Config, *, quiet: bool) -> int:
    """path: of a list of videos. Exit code: 2 if any of them failed.

    Raises CheckpointError: the weights are not here; MediaError: the list cannot be read.
    """
    videos = listed_videos(path)
    judges = load_judges(config)
    agrees = judges.sync.stable
    if agrees is None or judges.execution is None:
        why = judges.lacking["stable_syncnet"]
        raise CheckpointError("--syncnet_accuracy needs StableSyncNet", path, why)
    use_threads(torch_threads(judges.execution))
    failures: list[Path] = []

    def failed(video: Path, error: LatentSyncError) -> None:
        failures.append(video)
        print_error(error, of=video.name)

    progress = no_progress if quiet else progress_bar
    engine = evaluation_engine(config)
    found = accuracy_of_videos(engine, videos, agrees, failed=failed, progress=progress)
    if found.pairs:
        print(sentence(found))
    print(f"{len(videos) - len(failures)} of {len(videos)} videos used")
    return USER_ERROR if failures else DONE


def sentence(found: Accuracy) -> str:
    """found: of at least one pair of each kind."""
    right, wrong = found.right / found.right_pairs, found.wrong / found.wrong_pairs
    return (
        f"accuracy of StableSyncNet: {found.share:.1%} of {found.pairs} pairs "
        f"({right:.1%} of those in sync, {wrong:.1%} of the others)"
    )
