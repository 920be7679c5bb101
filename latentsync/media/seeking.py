"""Seeks frames that were decoded before, and checks that they are the same.

Where a seek lands depends on the format, and what is decoded after it on the stream: frames that
refer to others before the key frame come out damaged or not at all. So the first pass stores each
frame's time stamp, and a checksum of those that are needed again. A frame found by seeking has to
match, otherwise the video is decoded from its start.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame

from latentsync.media.container import DecodeIssues
from latentsync.media.decoder import DecodedFrame, Decoding, ToUpright
from latentsync.media.probe import VideoInfo
from latentsync.types import Frame

_MAX_SKIPPED = 250  # frames; a shorter way is decoded, not sought
_SECONDS_BEFORE = (0.0, 2.0, 12.0)
"""Run-ups of frames_at, which knows no frames."""
_ROUNDING = 0.0021  # seconds by which containers round a time stamp: two of Matroska's
_CHECKED_ROWS = 8  # one of so many
_RUN_UPS = (0, 50, 300)
"""Frames before the wanted one at which seeks are tried, in turn. MPEG-TS lands anywhere, and with
open GOPs the first key frame found is one too late."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownFrames:
    """All frames of a video, from a reading before: pts: (F,) int64, ticks since the origin, as
    VideoReader gives them. sums: (F,) uint32, see checksum()."""

    pts: np.ndarray
    sums: np.ndarray


def checksum(pixels: np.ndarray) -> int:
    """Of a frame (H, W, 3): every eighth row, 0.5 ms at 1080p. A frame that was decoded from the
    wrong references differs in whole blocks of 16 rows."""
    return zlib.crc32(np.ascontiguousarray(pixels[::_CHECKED_ROWS]).data)


class FrameTable:
    """Time stamps and checksums of the frames decoded so far: about 24 bytes for each."""

    def __init__(self) -> None:
        self._stamps, self._pts, self._sums = array("q"), array("q"), array("L")
        self.monotonic = True
        """Whether the time stamps of all frames so far are present and rise."""

    @classmethod
    def of(cls, known: KnownFrames, info: VideoInfo) -> FrameTable:
        """Where time stamps had to be moved, the file's are others: seeks do not find them then."""
        table, origin = cls(), round(info.origin / info.time_base)
        table._pts.extend(known.pts.tolist())
        table._stamps.extend((known.pts + origin).tolist())
        table._sums.extend(known.sums.tolist())
        return table

    def __len__(self) -> int:
        return len(self._pts)

    def add(self, stamp: int | None, pts: int, pixels: np.ndarray | None) -> None:
        """stamp: the file's. pixels: None if the frame is not needed again."""
        self.monotonic &= stamp is not None and (not self._stamps or stamp > self._stamps[-1])
        self._stamps.append(stamp or 0)
        self._pts.append(pts)
        self._sums.append(0 if pixels is None else checksum(pixels))

    def stamp(self, index: int) -> int:
        return self._stamps[index]

    def pts(self, index: int) -> int:
        return self._pts[index]

    def find(self, stamp: int | None) -> int | None:
        """The index of the frame with that time stamp; None: there is none."""
        if stamp is None:
            return None
        index = bisect_left(self._stamps, stamp)
        return index if index < len(self) and self._stamps[index] == stamp else None

    def agrees(self, index: int, pixels: np.ndarray) -> bool:
        return self._sums[index] == checksum(pixels)


class SeekingDecoder:
    """Decodes frames of the table again; issues were noted in the first pass."""

    def __init__(self, info: VideoInfo, table: FrameTable, upright: ToUpright) -> None:
        self._info, self._table, self._upright = info, table, upright
        self._decoding: Decoding | None = None
        self._numbered: Iterator[tuple[int, VideoFrame]] = iter(())
        self._next = -1  # index of the next frame; -1: unknown
        self._from_start = False  # whether it was decoded from the start

    def close(self) -> None:
        """Frees the decoder and the frames in it: 42 MB of HEVC at 1080p."""
        self._numbered = iter(())  # it refers to this object, which so would never be freed
        if self._decoding is not None:
            self._decoding.close()

    def frames(self, wanted: Sequence[int]) -> dict[int, DecodedFrame]:
        """wanted: indices, rising, of frames that are in the table with a checksum."""
        is_near = 0 <= self._next <= wanted[0] <= self._next + _MAX_SKIPPED
        if is_near and (found := self._take(wanted)):
            return found
        for run_up in _RUN_UPS if self._table.monotonic else ():
            if self._go_to(max(0, wanted[0] - run_up)) and (found := self._take(wanted)):
                return found
        self._go_to_start()
        return self._take(wanted)

    def _take(self, wanted: Sequence[int]) -> dict[int, DecodedFrame]:
        """Returns all wanted frames, or none if one is missing or does not match."""
        found: dict[int, DecodedFrame] = {}
        for index, frame in self._numbered:
            self._next = index + 1
            expected = wanted[len(found)]
            if index < expected:
                continue
            decoded = self._upright(frame, self._table.pts(index))
            if index > expected or not (self._from_start or self._agrees(index, decoded)):
                break
            found[index] = decoded
            if len(found) == len(wanted):
                return found
        self._next = -1
        return {}

    def _agrees(self, index: int, decoded: DecodedFrame) -> bool:
        return self._table.agrees(index, decoded.pixels)

    def _go_to(self, index: int) -> bool:
        """Seeks; returns whether the format can."""
        self._decoding = self._decoding or Decoding(self._info, DecodeIssues())
        self._next, self._from_start = -1, False
        try:
            self._decoding.seek(self._table.stamp(index))
        except av.FFmpegError:
            return False
        self._numbered = self._frame_numbers(self._decoding)
        return True

    def _go_to_start(self) -> None:
        self.close()
        self._decoding = Decoding(self._info, DecodeIssues())
        frames = (frame for _, frame in self._decoding.stamped())
        self._numbered, self._next, self._from_start = enumerate(frames), 0, True

    def _frame_numbers(self, decoding: Decoding) -> Iterator[tuple[int, VideoFrame]]:
        for frame in decoding.frames():
            if (index := self._table.find(frame.pts)) is not None:
                yield index, frame


def frames_at(info: VideoInfo, seconds: Sequence[float]) -> Iterator[Frame | None]:
    """Yields the frame that begins at each of these instants, as another pass has seen them; None
    where seeking does not find it. index counts the instants, from 0.

    seconds: Frame.pts_seconds. Each takes as long as decoding from the key frame before it does.
    Raises MediaError as probe does.
    """
    upright = ToUpright(info)
    for number, second in enumerate(seconds):
        runs = (_sought(info, second, before) for before in _SECONDS_BEFORE)
        found = next((one for one in runs if one is not None), None)
        pts = round(second / info.time_base)
        yield None if found is None else upright.frame(number, upright(found, pts))


def _sought(info: VideoInfo, second: float, before: float) -> VideoFrame | None:
    """The frame that begins at that second; None: seeking landed behind it, or there is none.

    before: seconds of run-up; up to the start, nothing is sought.
    """
    with Decoding(info, DecodeIssues()) as decoding:
        if second > before:
            try:
                decoding.seek(int((info.origin + Fraction(second - before)) / info.time_base))
            except av.FFmpegError:
                return None
        for frame in decoding.frames():
            at = None if frame.pts is None else float(frame.pts * info.time_base - info.origin)
            if at is None or at > second + _ROUNDING:
                return None
            if at > second - _ROUNDING:
                return frame
    return None
