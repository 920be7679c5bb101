"""Pairs of frames from a finished file and, where there is one, the source that it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latentsync.evaluate.pair import FramePair
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.settings.schema import Config


def evaluation_engine(config: Config) -> Engine:
    """An engine that finds faces, and neither restores nor generates."""
    raise NotImplementedError


def job_report(result: Path) -> dict[str, Any] | None:
    """The report that lies beside a result; None: there is none, or it is of another file."""
    raise NotImplementedError


class PairsOfFiles:
    """Iterate, once, for the pairs in the order of the result. Memory does not grow with length.

    engine: see evaluation_engine; its configuration says whose face (face.speaker). source: None:
    only the result is looked at. report: of the job; None: it was made by something else.

    total: output frames. measured: pairs given out so far. without_source: why pairs have no
    source frame though a source was given; None: they have. cuts_seconds: where shots begin, of
    the sampled frames, where the report does not say it. All are known once the first pair is.
    Raises MediaError, FaceNotFoundError and Cancelled, as Session does.
    """

    total: int
    measured: int
    without_source: str | None
    cuts_seconds: list[float]

    def __init__(
        self,
        engine: Engine,
        result: str | Path | VideoInfo,
        source: str | Path | VideoInfo | None = None,
        *,
        report: Mapping[str, Any] | None = None,
        progress: Progress = no_progress,
    ) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[FramePair]:
        raise NotImplementedError
