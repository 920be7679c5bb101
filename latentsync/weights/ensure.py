"""Ensures all weights of a job: checks licences, finds local files, downloads missing ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from latentsync.weights import hub, licences
from latentsync.weights.download import Progress
from latentsync.weights.fetch import fetch_all
from latentsync.weights.find import find_all, is_here
from latentsync.weights.model_file import ModelFile, described
from latentsync.weights.verify import verify

logger = logging.getLogger(__name__)

Wanted = tuple[ModelFile, str | None]
"""A model and the path that the configuration gives it, if any."""


Consent = Callable[[Sequence[ModelFile]], None]


@contextmanager
def no_byte_progress(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
    """Progress that is not shown."""
    yield lambda _count: None


def consent_to_all(_missing: Sequence[ModelFile]) -> None:
    """Consents without a question, for programs without a user."""


def ensure_weights(
    wanted: Sequence[Wanted],
    *,
    folders: Sequence[str | Path] = (),
    offline: bool = False,
    progress: Progress = no_byte_progress,
    consent: Consent = consent_to_all,
) -> list[Path]:
    """The paths, in order; missing files are downloaded, and all are verified.

    consent: called with the files to download, but for small ones, if there are any; raises to
    refuse that. Raises ConfigError for licences not accepted, CheckpointError for files that are
    missing (offline), cannot be downloaded, or belong to another model.
    """
    missing = [model for model, path in wanted if path is None and not is_here(model, folders)]
    fetching = bool(missing) and not offline and not hub.is_offline()
    large = [model for model in missing if not model.is_small]
    if fetching and large:
        consent(large)
    licences.require(model.licence for model, _ in wanted)
    if fetching:
        logger.info("downloading %s", described(missing))
        fetch_all(missing, progress)
    paths = find_all(wanted, folders=folders)
    for (model, _), path in zip(wanted, paths, strict=True):
        verify(model, path)
    return paths
