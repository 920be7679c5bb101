"""Where a session's frames come from: a file, or frames that are there already; and its footage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from latentsync.generate.base import AudioFeatures, Footage
from latentsync.geometry import extract, square
from latentsync.media.audio.reader import AudioReader
from latentsync.media.indexed import IndexedReader
from latentsync.media.probe import VideoInfo
from latentsync.media.reader import VideoReader
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import Checked, unchecked
from latentsync.speech.acoustic import compute_acoustics
from latentsync.types import Frame


@runtime_checkable
class Source(Protocol):
    """A video that can be read again and again."""

    @property
    def info(self) -> VideoInfo: ...

    @property
    def issues(self) -> str | None:
        """What could not be read the last time; None while all is well."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """All frames, in order."""
        ...

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        """The frames of these numbers, in that order, each as often.

        Raises MediaError where the video has become shorter than it was.
        """
        ...


class VideoFile:
    """A file. Raises MediaError as media.probe does."""

    def __init__(self, info: VideoInfo) -> None:
        self.info = info
        self._reader = VideoReader(info)

    @property
    def issues(self) -> str | None:
        return self._reader.issues

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._reader)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        return iter(IndexedReader(self.info, indices))


class CheckedSource:
    """A source whose reader may be stopped: check is called at every frame, and may raise."""

    def __init__(self, source: Source, check: Callable[[], None]) -> None:
        self._source, self._check = source, check

    @property
    def info(self) -> VideoInfo:
        return self._source.info

    @property
    def issues(self) -> str | None:
        return self._source.issues

    def __iter__(self) -> Iterator[Frame]:
        return self._checked(self._source)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        return self._checked(self._source.shown(indices))

    def _checked(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self._check()
            yield frame


class Clip:
    """Frames in memory, as if they were a whole video. info: of the video that they are from."""

    issues: str | None = None

    def __init__(self, info: VideoInfo, frames: Sequence[Frame]) -> None:
        self.info, self._frames = replace(info, frame_count=len(frames)), frames

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        return (self._frames[int(index)] for index in indices)


def footage_of(
    source: Source, analysis: SourceAnalysis, check: Callable[[], None] = unchecked
) -> Footage:
    """The video and what pass 1 found in it. Its audio is read when first asked for.

    check: called while that is read; may raise.
    """
    path = source.info.path
    has_sound = bool(source.info.audio)

    @cache
    def audio() -> AudioFeatures | None:
        return compute_acoustics(Checked(AudioReader(path), check)) if has_sound else None

    def crops(numbers: np.ndarray, size: int) -> Iterator[torch.Tensor]:
        matrices = analysis.matrices[numbers]
        for aligned, frame in zip(matrices, source.shown(numbers), strict=True):
            matrix = square(size) @ np.vstack([aligned, [0, 0, 1]])
            yield extract(frame.pixels, matrix, (size, size))

    return Footage(
        str(path), analysis.alignments, analysis.pts_seconds, analysis.cuts, audio, crops
    )
