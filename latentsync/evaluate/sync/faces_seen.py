"""The faces of a finished video at 25 instants a second, and a further pass over its frames.

SyncNet takes 45 ms of a core for each instant, so that of a video of more than five minutes only
pieces of 15 s are looked at, evenly spread; each counts as a track of its own then. Of a shorter
one everything is, as upstream does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from latentsync.evaluate.sampling import Bursts, SampledVideo
from latentsync.evaluate.sync.crops import runs_of_tracks, tight_tracks
from latentsync.evaluate.sync.instants import at_instants, counted, instants
from latentsync.evaluate.sync.stable_score import AlignedRun
from latentsync.evaluate.sync.tracks import FaceTrack
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import Source, VideoFile
from latentsync.settings.schema import Config

ALL_UP_TO = 300.0
"""Seconds of a video of which all is looked at, and of a longer one that are."""
PIECES = 20
"""Of a longer video."""


class Collector(Protocol):
    """Takes frames at instants, in order."""

    def wants(self, instant: int) -> bool: ...

    def add(self, pixels: np.ndarray, instant: int) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class FacesSeen:
    """The faces of a finished video. source: its frames, or a sample of them. analyses: of each
    speaker, of these frames. shown: which of them at each instant, see instants.instants."""

    source: Source
    analyses: Sequence[SourceAnalysis]
    shown: np.ndarray

    @property
    def tracks(self) -> list[FaceTrack]:
        """With the boxes that crops.py derives; some may be too short or too small."""
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
        """(T,) number of the shot at each instant; -1 where nothing is shown."""
        numbers = np.cumsum(self.analyses[0].cuts)
        return np.where(self.shown < 0, -1, numbers[self.shown])


def faces_seen(
    engine: Engine,
    result: VideoInfo,
    *,
    config: Config | None = None,
    progress: Progress = no_progress,
) -> FacesSeen:
    """engine: see pairs_of_files.evaluation_engine. config: says whose face; None: the engine's.
    Raises as Session.analyze does."""
    seconds = result.frame_count / float(result.average_rate)
    period = seconds / PIECES if seconds > ALL_UP_TO else 0.0
    pieces = Bursts(ALL_UP_TO / PIECES, period)
    source: Source = VideoFile(result)
    if period:
        source = SampledVideo(result, lambda _, second: pieces.takes(second))
    with Session(engine, source, config=config) as session:
        session.analyze(progress)
        analyses = [lane.analysis for lane in session.lanes]
    first = analyses[0]
    shown = instants(first.pts_seconds, first.end(result.average_rate), pieces.takes)
    return FacesSeen(source, analyses, shown)


def collect(faces: FacesSeen, collectors: Sequence[Collector], progress: Progress) -> None:
    """Decodes the video once for all of them."""

    def wanted(instant: int) -> bool:
        return any(one.wants(instant) for one in collectors)

    if not collectors:
        return
    with progress("measuring sync", faces.source.info.frame_count) as step:
        frames = counted(faces.source, step)
        for pixels, instant in at_instants(frames, faces.shown, wanted):
            for one in collectors:
                if one.wants(instant):
                    one.add(pixels, instant)
