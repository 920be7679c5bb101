"""Ensures all weights of a job: checks licences, finds local files, downloads missing ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from latentsync.errors import CheckpointError
from latentsync.weights import hub, licences
from latentsync.weights.download import Progress, SourceError, download
from latentsync.weights.find import find, find_all, recommended_place
from latentsync.weights.manifest import HubFile, ModelFile, ReleaseFile, described
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

    consent: called with the files to download, if any; raises to refuse that. Raises ConfigError
    for licences not accepted, CheckpointError for files that are missing (offline), cannot be
    downloaded, or belong to another model.
    """
    missing = [model for model, path in wanted if path is None and not _is_here(model, folders)]
    fetching = bool(missing) and not offline and not hub.is_offline()
    if fetching:
        consent(missing)
    licences.require(model.licence for model, _ in wanted)
    if fetching:
        logger.info("downloading %s", described(missing))
        for model in missing:
            fetch(model, progress)
    paths = find_all(wanted, folders=folders)
    for (model, _), path in zip(wanted, paths, strict=True):
        verify(model, path)
    return paths


def fetch(model: ModelFile, progress: Progress = no_byte_progress) -> Path:
    """Downloads the file from the first of its sources that works.

    Raises CheckpointError with the reason of each source.
    """
    failures: list[SourceError] = []
    for source in model.sources:
        if failures:
            logger.info("%s: trying source %d", model.key, len(failures) + 1)
        try:
            return _fetch(model, source, progress)
        except SourceError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    reasons = dict.fromkeys(str(failure.value) for failure in failures)
    what = f"all {len(failures)} sources of {model.key} failed"
    raise CheckpointError(what, "; ".join(reasons), failures[-1].remedy)


def _is_here(model: ModelFile, folders: Sequence[str | Path]) -> bool:
    try:
        find(model, folders=folders)
    except CheckpointError:
        return False
    return True


def _fetch(model: ModelFile, source: HubFile | ReleaseFile, progress: Progress) -> Path:
    size, sha256 = model.bytes, model.sha256
    if isinstance(source, ReleaseFile):
        target = recommended_place(model)
        return download(source.url, target, size=size, sha256=sha256, progress=progress)
    for name in model.beside:
        beside = str(Path(source.filename).with_name(name))
        hub.fetch(source.repo, beside, size=None, sha256=None, progress=progress)
    return hub.fetch(source.repo, source.filename, size=size, sha256=sha256, progress=progress)
