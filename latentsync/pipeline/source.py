"""Sources of a session's frames, a file or frames in memory, and their footage for a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from latentsync.face.identity import load_embedding, numbered
from latentsync.face.portraits import SIDE, portrait
from latentsync.generate.base import AudioFeatures, Footage
from latentsync.media.audio.reader import AudioReader
from latentsync.media.indexed import IndexedReader
from latentsync.media.picture.still import read_still
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.seeking import KnownFrames
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import Checked, unchecked
from latentsync.pipeline.squares import Squares
from latentsync.speech.acoustic import compute_acoustics
from latentsync.tone import extract_levels, sdr
from latentsync.types import Frame

COMPARED = 5
"""Frames of a track by which its person is compared with those of other tracks."""


@runtime_checkable
class Source(Protocol):
    """A video that can be read any number of times."""

    @property
    def info(self) -> VideoInfo: ...

    @property
    def issues(self) -> str | None:
        """Decode issues of the last reading; None: there were none."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """All frames, in order."""
        ...

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        """The frames with these indices, in that order, repeated where an index is.

        Raises MediaError where the video has become shorter.
        """
        ...


class VideoFile:
    """A file. Raises MediaError as media.probe does."""

    def __init__(self, info: VideoInfo) -> None:
        self.info = info
        self._reader = VideoReader(info)
        self._known: KnownFrames | None = None

    def remember(self, known: KnownFrames) -> None:
        """All frames, of an analysis before: frames far from the start are sought from now on."""
        self._known = known

    @property
    def issues(self) -> str | None:
        return self._reader.issues

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._reader)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        return iter(IndexedReader(self.info, indices, self._known))


class PictureFile:
    """A still picture: a video of one frame. Raises MediaError when it is read."""

    issues: str | None = None

    def __init__(self, info: VideoInfo) -> None:
        self.info = info

    def __iter__(self) -> Iterator[Frame]:
        return self.shown(np.zeros(1, np.int64))

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        """Decoded once; the same pixels each time, which are not to be changed."""
        frame = None
        for _ in indices:
            if frame is None:
                frame = read_still(self.info)
            yield frame


def source_of(video: str | Path | VideoInfo | Source) -> Source:
    """A file, probed or not, or a source as it is. Raises MediaError as media.probe does."""
    if isinstance(video, str | Path):
        video = probe(video)
    if not isinstance(video, VideoInfo):
        return video
    return VideoFile(video) if video.picture is None else PictureFile(video)


def is_file(source: Source) -> bool:
    return isinstance(source, VideoFile | PictureFile)


def remember(source: Source, analysis: SourceAnalysis) -> None:
    """A frame in the middle of a file is sought from now on, and has to be the analyzed one."""
    if isinstance(source, VideoFile) and analysis.sums is not None:
        source.remember(KnownFrames(analysis.pts, analysis.sums))


class CheckedSource:
    """A source that calls check at every frame; check may raise."""

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
    """Frames in memory as a video of their own. info: of the video that they are from."""

    issues: str | None = None

    def __init__(self, info: VideoInfo, frames: Sequence[Frame]) -> None:
        self.info, self._frames = replace(info, frame_count=len(frames)), frames

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        return (self._frames[int(index)] for index in indices)


def footage_of(
    source: Source,
    analysis: SourceAnalysis,
    check: Callable[[], None] = unchecked,
    squares: Squares | None = None,
) -> Footage:
    """The video and its analysis. Its audio is read on first access.

    check: called while audio is read; may raise. squares: of its crops; None: the aligned crops.
    """
    path = source.info.path
    has_audio = bool(source.info.audio)

    @cache
    def audio() -> AudioFeatures | None:
        return compute_acoustics(Checked(AudioReader(path), check)) if has_audio else None

    def crops(numbers: np.ndarray, size: int) -> Iterator[torch.Tensor]:
        cut = squares or Squares(size)
        faces = [analysis.alignments[int(number)] for number in numbers]
        for face, frame in zip(faces, source.shown(numbers), strict=True):
            assert face is not None
            matrix = cut.matrix(face.matrix, face.track, size)
            yield extract_levels(frame, matrix, (size, size))

    @cache
    def people() -> np.ndarray:
        return _people(source, analysis)

    return Footage(
        name=str(path),
        alignments=analysis.alignments,
        seconds=analysis.pts_seconds,
        cuts=analysis.cuts,
        occluded=np.isin(np.arange(len(analysis)), list(analysis.occluders)),
        people=people,
        audio=audio,
        crops=crops,
    )


def portraits_of(source: Source, analysis: SourceAnalysis) -> np.ndarray:
    """(n, 112, 112, 3) uint8 RGB, of COMPARED frames of each track; they are read again."""
    chosen = [_spread(frames) for frames in analysis.frames_by_track().values()]
    wanted = np.unique(np.concatenate([np.empty(0, np.int64), *chosen]))
    seen = [analysis.alignments[index] for index in wanted]
    frames = zip(seen, source.shown(wanted), strict=True)
    made = [portrait(sdr(frame).pixels, one) for one, frame in frames if one is not None]
    return np.array(made, np.uint8).reshape(len(made), SIDE, SIDE, 3)


def _spread(frames: np.ndarray) -> np.ndarray:
    """At most COMPARED of them, evenly spread."""
    return np.unique(frames[np.linspace(0, len(frames) - 1, COMPARED).round().astype(int)])


def _people(source: Source, analysis: SourceAnalysis) -> np.ndarray:
    """(F,) int: a number for each person, by COMPARED frames of each track; -1 without a face."""
    if analysis.one_person:
        return np.where(analysis.tracks < 0, -1, 0)
    tracks = analysis.frames_by_track()
    compared = {track: _spread(frames) for track, frames in tracks.items()}
    embedding = load_embedding()
    vectors = {}
    wanted = np.empty(0, np.int64)
    if len(tracks) > 1:
        wanted = np.unique(np.concatenate(list(compared.values())))
    for index, frame in zip(wanted, source.shown(wanted), strict=True):
        alignment = analysis.alignments[int(index)]
        if alignment is not None:
            vectors[index] = embedding(portrait(sdr(frame).pixels, alignment)[None])[0]
    people = np.where(analysis.tracks < 0, -1, 0)
    if vectors:
        sets = [np.stack([vectors[index] for index in indices]) for indices in compared.values()]
        for number, frames in zip(numbered(sets, embedding), tracks.values(), strict=True):
            people[frames] = number
    return people
