"""Pairs of frames from a finished file and, where there is one, the source behind it.

Faces are found in the source by a session's own analysis, of the frames that are sampled; in the
result they are looked at in the same place. Without a source the result is analyzed itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.evaluate.faces import FaceLooks
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.pairing import (
    ByReport,
    Pairing,
    misfit,
    pairing_of,
    same_moment,
    scaled,
    scaled_alignment,
)
from latentsync.evaluate.sampling import Bursts, SampledVideo, frames_of
from latentsync.evaluate.shots import Moment
from latentsync.face.masks import region_mask
from latentsync.frame_times import PTS_ROUNDING
from latentsync.media.probe import VideoInfo, probed
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.rendering import SHOWN
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import source_of
from latentsync.settings.schema import Config
from latentsync.tone import sdr
from latentsync.types import Alignment, Frame

logger = logging.getLogger(__name__)

LONGEST_STEP = 2
"""Frames of the source between two neighbouring frames of a result, at most: else they jump."""


def evaluation_engine(config: Config) -> Engine:
    """An engine that finds faces, and neither restores nor generates. Raises as Engine does."""
    return Engine(as_evaluated(config))


def as_evaluated(config: Config) -> Config:
    """The settings by which faces are found in a finished video."""
    return replace(
        config,
        compat=None,
        input=replace(config.input, audio=None),
        speakers=[],
        restore=replace(config.restore, name="none"),
        face=replace(config.face, occlusion="off"),
    )


def chosen_speaker(config: Config, report: Mapping[str, Any] | None) -> Config:
    """The settings with the speaker of the job, where they name none."""
    chosen = (report or {}).get("speaker", {}).get("chosen_by") or [None]
    if config.face.speaker is not None or chosen[0] is None:
        return config
    return replace(config, face=replace(config.face, speaker=chosen[0]))


class PairsOfFiles:
    """Iterate, once, for the pairs in the order of the result. Memory does not grow with length.

    engine: see evaluation_engine; its configuration says whose face (face.speaker), otherwise the
    report does. source: None: only the result is looked at. report: of the job; None: it was made
    by something else.

    total: frames of the result. measured: pairs given out. without_source: why pairs have no source
    frame though a source was given; None: they have. misfits: pairs without one for that reason
    alone. cuts_seconds: where shots begin, as far as sampled frames tell. moments: where mouths are
    in the pairs, for shots. All hold once the iteration has ended.
    Raises MediaError, ConfigError and FaceNotFoundError, as Session does.
    """

    def __init__(
        self,
        engine: Engine,
        result: str | Path | VideoInfo,
        source: str | Path | VideoInfo | None = None,
        *,
        report: Mapping[str, Any] | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self._engine, self._report, self._progress = engine, report, progress
        self.result = probed(result)
        self.source = None if source is None else probed(source)
        self.total = self.measured = self.misfits = 0
        self.without_source: str | None = None
        self.cuts_seconds: list[float] = []
        self.moments: list[Moment] = []
        rate = float(self.result.average_rate)
        seconds = self.result.frame_count / rate
        self._bursts = Bursts.over(seconds, rate)
        self._mask = region_mask(changed_region(report))

    def __iter__(self) -> Iterator[FramePair]:
        pairing = self._pairing()
        seen, analysis = self._analyzed(pairing)
        looks = FaceLooks(self._engine.config.weights.folders)
        last: tuple[FramePair, int] | None = None
        with self._progress("measuring", self.result.frame_count) as step:
            for frame, index, source in self._frames(pairing, seen, step):
                place = _position(seen.indices, index)
                alignment = None if place is None else analysis.alignments[place]
                pair = self._pair(looks, frame, source, alignment)
                cut = place is not None and bool(analysis.cuts[place])
                if last is not None and not cut and _goes_on(*last, pair, index):
                    pair = replace(pair, follows=True)
                if cut and self.measured:
                    self.cuts_seconds.append(round(pair.seconds, 3))
                last = pair, index
                self._note(pair, index, seen.seconds)
                yield pair
        if self.misfits and self.misfits == self.measured:
            self.without_source = "no frame of the source fits the result's of the same time"

    def _note(self, pair: FramePair, index: int, seconds: np.ndarray) -> None:
        """index: of the analyzed frame behind it. seconds: of all analyzed frames."""
        self.measured += 1
        behind = None if pair.source is None else (index, float(seconds[index]))
        if (moment := Moment.of(pair, behind)) is not None:
            self.moments.append(moment)

    def _pairing(self) -> Pairing:
        """Decides whether the source is one; without it the result stands behind itself."""
        if self.source is not None and self._report is None:
            threshold = self._engine.config.face.cut_threshold
            self.without_source = misfit(self.result, self.source, threshold)
        if self.source is None or self.without_source is not None:
            self.source = None
            return ByReport(self._bursts, float(self.result.average_rate), None)
        return pairing_of(self.result, self.source, self._report, self._bursts)

    def _analyzed(self, pairing: Pairing) -> tuple[SampledVideo, SourceAnalysis]:
        video = SampledVideo(self.source or self.result, pairing.of_source)
        config = chosen_speaker(self._engine.config, self._report)
        with Session(self._engine, video, config=config) as session:
            return video, session.analyze(self._progress)

    def _frames(
        self, pairing: Pairing, seen: SampledVideo, step: Callable[[], None]
    ) -> Iterator[tuple[Frame, int, Frame | None]]:
        """The frames that are measured, the number of the analyzed frame behind each (-1: there is
        none), and that frame where it is the source's."""
        source = None if self.source is None else _Behind(self.source, pairing)
        for frame in frames_of(self.result, pairing.of_result):
            self.total += 1
            step()
            if frame is not None and source is None:
                yield frame, frame.index, None
            elif frame is not None and source is not None:
                index = pairing.behind(frame.index, frame.pts_seconds, seen.seconds)
                if index is None:
                    yield frame, -1, None
                else:
                    yield frame, index, source(index)

    def _pair(
        self, looks: FaceLooks, frame: Frame, source: Frame | None, alignment: Alignment | None
    ) -> FramePair:
        """alignment: in the analyzed frame behind it."""
        size, face, source_face = frame.pixels.shape[1::-1], None, None
        behind = None if source is None else scaled(source.pixels, size)
        if alignment is not None and source is not None:
            alignment = scaled_alignment(alignment, source.pixels.shape[1::-1], size)
        if alignment is not None:
            face = looks(frame.pixels, alignment)
            source_face = None if behind is None else looks(behind, alignment)
        if behind is not None and self._report is None:
            threshold = self._engine.config.face.cut_threshold
            if not same_moment(frame.pixels, behind, (face, source_face), threshold):
                behind, source_face = None, None
                self.misfits += 1
        moment = frame.index, frame.pts_seconds
        return FramePair(
            *(*moment, frame.pixels, behind, face, source_face),
            follows=False,
            mask=self._mask,
            new_mouth=has_new_mouth(self._report, frame.pts_seconds),
        )


class _Behind:
    """Reads frames of the source in the order of a pairing."""

    def __init__(self, info: VideoInfo, pairing: Pairing) -> None:
        if pairing.order is None:
            self._frames: Iterator[Frame | None] = frames_of(info, pairing.of_source)
        else:
            self._frames = map(sdr, source_of(info).shown(np.array(pairing.order)))
        self._forward = pairing.order is None
        self._latest: Frame | None = None

    def __call__(self, index: int) -> Frame | None:
        """index: the next of the order, or that of any frame from the latest on."""
        if not self._forward:
            return next(self._frames)
        while self._latest is None or self._latest.index < index:
            following = next((frame for frame in self._frames if frame is not None), None)
            if following is None:
                return None  # no frame from here on was wanted
            self._latest = following
        return self._latest if self._latest.index == index else None


def changed_region(report: Mapping[str, Any] | None) -> str:
    """Where a job may have put new pixels; see face.masks. Of a result of something else, where
    LatentSync does."""
    if report is None or report["frames"]["generated"]:
        return SHOWN
    return str(report["settings"]["restore"]["region"])


def has_new_mouth(report: Mapping[str, Any] | None, seconds: float) -> bool:
    """Whether a mouth was generated at that second of the result; True where it is not known."""
    if report is None or not report["frames"]["generated"]:
        return True
    spans = report["spans_seconds"]["generated"]
    return any(begin - PTS_ROUNDING <= seconds <= end + PTS_ROUNDING for begin, end in spans)


def continues(last: FramePair, pair: FramePair) -> bool:
    """Whether a pair is the neighbour of the one before, with the face of the same track."""
    if pair.index != last.index + 1 or last.face is None or pair.face is None:
        return False
    return last.face.track == pair.face.track


def _goes_on(last: FramePair, last_index: int, pair: FramePair, index: int) -> bool:
    """Whether a pair continues the last one. Of each the number of the analyzed frame behind it."""
    near = last_index >= 0 and index >= 0 and abs(index - last_index) <= LONGEST_STEP
    return near and continues(last, pair)


def _position(indices: np.ndarray, index: int) -> int | None:
    """Where a frame is among those that were analyzed; None: it is not."""
    place = int(np.searchsorted(indices, index))
    return place if place < len(indices) and indices[place] == index else None
