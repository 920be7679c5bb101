"""The second pass over a source: crops become clips, and `sync` and `quality` judge them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from latentsync.errors import MediaError
from latentsync.geometry import extract, square
from latentsync.media.probe import VideoInfo
from latentsync.training.preparation.clip_file import ClipFile
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.frames import SteadyFrames
from latentsync.training.preparation.manifest import (
    FRAME_RATE,
    LEFT_OUT,
    NOT_JUDGED,
    Figures,
    Journal,
    Judged,
    Piece,
)
from latentsync.training.preparation.quality import ClipQuality
from latentsync.training.preparation.recording import Recording
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.training.preparation.sync import ClipSync, Lag, judge_lag
from latentsync.training.preparation.tools import Tools
from latentsync.types import Alignment

PICTURES = 8
"""Of clips of one source that are kept for the overview."""
_SIDE, _JPEG = 160, 85  # pixels and quality of these


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A clip to be made. alignments: of all of its frames. lag: of its track; None: SyncNet is
    here."""

    piece: Piece
    alignments: Sequence[Alignment]
    lag: Lag | None = None


@dataclass(frozen=True, slots=True)
class MadeClip:
    """A clip that was kept. offset: frames by which its audio was delayed."""

    name: str
    piece: Piece
    offset: int = 0
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What the second pass needs of a source. cepstra: (M, 13) of its audio; None: no SyncNet.

    folder: where the clips go.
    """

    info: VideoInfo
    recording: Recording
    cepstra: np.ndarray | None
    folder: Path


def make_clips(
    source: Source,
    planned: Iterable[Planned],
    tools: Tools,
    settings: PreparationSettings,
    journal: Journal,
    frames: SteadyFrames,
) -> list[MadeClip]:
    """Writes the clips that are kept into the folder.

    Raises MediaError: one cannot be written, or the frames end before the last clip does.
    """
    waiting = sorted(planned, key=lambda one: one.piece.start)
    if not waiting:
        return []
    last = max(one.piece.stop for one in waiting)
    running: list[_Clip] = []
    made: list[MadeClip] = []
    pictures = _Pictures(source.folder)
    try:
        for frame in frames:
            while waiting and waiting[0].piece.start <= frame.index:
                running.append(_Clip(source, waiting.pop(0), tools, settings, journal))
            for clip in running:
                clip.add(frame.pixels, frame.index)
            for clip in [one for one in running if one.piece.stop == frame.index + 1]:
                running.remove(clip)
                pictures.keep(clip)
                made += clip.finished()
            if frame.index + 1 >= last:
                break
        if waiting or running:
            what = f"no end of {len(waiting) + len(running)} planned clips"
            remedy = f"its frames ended before {last / FRAME_RATE:.2f} s, unlike when first read"
            raise MediaError(what, source.info.path, remedy)
    finally:
        for clip in running:  # only where something failed
            clip.file.discard()
    return made


def aligned_crop(pixels: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB, matrix: (2, 3) frame -> aligned crop -> (size, size, 3) uint8.

    As faces come to the generator: see geometry.extract.
    """
    to_square = square(size) @ np.vstack([matrix, [0, 0, 1]])
    levels = (extract(pixels, to_square, (size, size)).numpy() + 1) * 127.5
    return np.ascontiguousarray(levels.round().astype(np.uint8).transpose(1, 2, 0))


class _Clip:
    def __init__(
        self,
        source: Source,
        planned: Planned,
        tools: Tools,
        settings: PreparationSettings,
        journal: Journal,
    ) -> None:
        self.piece, self._planned = planned.piece, planned
        self._source, self._settings, self._journal = source, settings, journal
        self.name = journal.name(self.piece)
        self.file = ClipFile(source.folder / f"{self.name}.mp4", settings.resolution, settings.crf)
        self.picture: np.ndarray | None = None
        self._quality = self._sync = None
        if settings.judges("quality"):
            self._quality = ClipQuality(self.piece, tools.judges.face, settings.resolution)
        embedder = tools.judges.sync.syncnet
        if settings.judges("sync") and embedder is not None and source.cepstra is not None:
            aligned = planned.alignments
            self._sync = ClipSync(self.piece.start, aligned, source.cepstra, embedder)

    def add(self, pixels: np.ndarray, instant: int) -> None:
        alignment = self._planned.alignments[instant - self.piece.start]
        crop = aligned_crop(pixels, alignment.matrix, self._settings.resolution)
        self.file.add(crop)
        if self._sync is not None:
            self._sync.add(pixels, instant)
        if self._quality is not None:
            self._quality.add(pixels, instant, alignment)
        if instant == (self.piece.start + self.piece.stop) // 2:
            self.picture = crop

    def finished(self) -> list[MadeClip]:
        """Of one clip; of none where it is dropped."""
        judged = self._judge_sync()
        figures = dict(judged.figures)
        offset = int(figures.get("offset", 0))
        if judged.verdict == NOT_JUDGED:
            offset = 0
        passed = self._journal.take("sync", [judged])
        if passed:
            looks = self._judge_quality()
            figures |= looks.figures
            passed = self._journal.take("quality", [looks])
        if not passed:
            self.file.discard()
            return []
        moved = self.piece.start - offset, self.piece.stop - offset
        self.file.finish(self._source.recording.of_frames(*moved))
        return [MadeClip(self.name, self.piece, offset, figures)]

    def _judge_sync(self) -> Judged:
        if not self._settings.judges("sync"):
            return Judged(self.piece, NOT_JUDGED, LEFT_OUT)
        if self._sync is not None:
            return self._sync.judged(self.piece, self._settings)
        return judge_lag(self.piece, self._planned.lag or Lag(), self._settings)

    def _judge_quality(self) -> Judged:
        if self._quality is None:
            return Judged(self.piece, NOT_JUDGED, LEFT_OUT)
        return self._quality.judged(self.piece, self._settings)


class _Pictures:
    """Writes a few for the overview."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def keep(self, clip: _Clip) -> None:
        if clip.picture is None or self._count >= PICTURES:
            return
        self._count += 1
        small = cv2.resize(clip.picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG])
        path = self._folder / f"{clip.name}.jpg"
        with writing("a picture", path):
            path.write_bytes(data.tobytes())
