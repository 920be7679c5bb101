"""Decodes a video forward once: frames with corrected PTS, converted to upright RGB."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from latentsync.media.carrier import CarrierMaker
from latentsync.media.color import HDR_TRANSFERS, Conversion, ToRgb
from latentsync.media.container import DecodeIssues, main_video, missing_end, open_source
from latentsync.media.probe import Orientation, VideoInfo
from latentsync.media.samples import WHITE, alpha_of
from latentsync.types import Frame

_THREADS = 4  # each decoding thread holds its own frames: 3 MB at 1080p, 12 MB at 4K
_RESTART_SECONDS = 1  # a step back by more than this is a new recording, not an error
_READ_FAILURES = 100  # reads that may fail in a row before the rest of the file counts as lost
_MIN_FRAMES = 5  # before the frame rate counts as known
_JITTER = 0.25  # of a frame; rounding to milliseconds (Matroska) stays below it up to 120 fps


class PtsNormalizer:
    """Passes valid time stamps through, computes missing ones, corrects those that do not rise.

    step: ticks from one frame to the next, to compute missing ones by.
    restart: a step back by more ticks is a new recording, concatenated: all later time stamps are
        moved with it. After a smaller step back only that time stamp is moved.
    least: ticks by which each time stamp has to exceed the one before.
    """

    def __init__(self, *, step: Fraction, restart: int, least: int = 1) -> None:
        self._step, self._restart, self._least = step, restart, least
        self._last: int | None = None
        self._anchor = -step  # the last one that was present; missing ones are counted from it
        self._missing = 0
        self._shift = 0
        self.repaired = False
        """Whether the latest time stamp had to be moved; a missing one does not count."""

    def normalize(self, stamp: int | None) -> int:
        """Returns the next PTS, in ticks. stamp: the container's; None: missing."""
        self.repaired = stamp is not None and self._steps_back(stamp)
        if stamp is None:
            self._missing += 1
            value = round(self._anchor + self._missing * self._step)
        else:
            self._follow_restart(stamp)
            value = stamp + self._shift
            self._anchor, self._missing = Fraction(value), 0
        if self._last is not None:
            value = max(value, self._last + self._least)
        self._last = value
        return value

    def _steps_back(self, stamp: int) -> bool:
        return self._last is not None and stamp + self._shift < self._last + self._least

    def _follow_restart(self, stamp: int) -> None:
        if self._last is not None and self._last - (stamp + self._shift) > self._restart:
            self._shift = self._last + max(1, round(self._step)) - stamp


class GapDetector:
    """Detects missing frames in a video of constant frame rate; nothing else reports them.

    The rate is measured: the one that a container states may be that of fields. An MP4 lists its
    frames, so a pause in it is intended, and a video whose rate has changed once may change it
    again: for both, no gap is ever reported.
    """

    def __init__(self, container: InputContainer) -> None:
        self._steady = "mp4" not in container.format.name
        self._first = self._latest = 0.0
        self._frames = 0

    def missing(self, second: float) -> int:
        """The number of frames missing between the previous one and this one. second: rising."""
        if self._frames == 0:
            self._first = second
        missing = self._skipped(second) if self._frames > _MIN_FRAMES else 0
        self._frames += 1 + missing
        self._latest = second
        return missing

    def _skipped(self, second: float) -> int:
        interval = (self._latest - self._first) / (self._frames - 1)
        steps = (second - self._latest) / interval
        self._steady &= round(steps) >= 1 and abs(steps - round(steps)) < _JITTER
        return round(steps) - 1 if self._steady else 0


class Decoding:
    """Context manager: an open video that is decoded; problems are added to issues.

    Raises MediaError as probe does.
    """

    def __init__(self, info: VideoInfo, issues: DecodeIssues) -> None:
        self._info, self._issues = info, issues
        self._container = open_source(info.path)
        self._stream = main_video(self._container, info.path)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = min(_THREADS, os.cpu_count() or 1)

    def __enter__(self) -> Decoding:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def stamped(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yields every frame from the first on, with its PTS: ticks since the origin, rising."""
        base = self._info.time_base
        origin = round(self._info.origin / base)
        normalizer = PtsNormalizer(
            step=1 / (self._info.average_rate * base), restart=round(_RESTART_SECONDS / base)
        )
        gaps = GapDetector(self._container)
        for frame in self.frames():
            pts = normalizer.normalize(None if frame.pts is None else frame.pts - origin)
            second = float(pts * base)
            self._inspect(frame, second, stamp_moved=normalizer.repaired)
            if gaps.missing(second):
                self._issues.note("frames seem to be missing", second)
            yield pts, frame

    def seek(self, stamp: int) -> None:
        """Seeks a key frame before that time stamp; some formats land elsewhere.

        Raises av.FFmpegError: the format cannot seek.
        """
        self._container.seek(stamp, stream=self._stream)

    def frames(self) -> Iterator[VideoFrame]:
        """Yields the frames from the current position on, as decoded."""
        second: float | None = None
        for packet in self._packets():
            if packet.stream is not self._stream:  # stream_index is wrong on the last, empty ones
                continue
            if packet.pts is not None:
                second = float(packet.pts * packet.time_base - self._info.origin)
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError as error:
                self._issues.note("a packet could not be decoded", second)
                _raise_if_out_of_memory(error)
                continue
            yield from frames

    def _packets(self) -> Iterator[Packet]:
        """Packets of all streams, to find the end of the file; read errors are skipped."""
        end, failures = Fraction(0), 0
        while failures < _READ_FAILURES:
            try:
                for packet in self._container.demux():
                    failures = 0
                    end = max(end, _end(packet))
                    yield packet
                break
            except av.FFmpegError as error:
                _raise_if_out_of_memory(error)
                failures += 1
                self._issues.note("the file could not be read", float(end - self._info.origin))
        if stated := missing_end(self._container, self._stream, end):
            second = float(end - self._info.origin)
            self._issues.note(f"the file is cut off: {stated}; it ends", second)

    def _inspect(self, frame: VideoFrame, second: float, *, stamp_moved: bool) -> None:
        if stamp_moved:
            self._issues.note("a time stamp did not rise and was moved", second)
        if frame.is_corrupt:
            self._issues.note("a damaged frame was concealed", second)
        size, first = (frame.width, frame.height), self._info.stored_size
        if size != first:
            change = "the frame size is {}x{} and was scaled to {}x{}".format(*size, *first)
            self._issues.note(change, second)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """pts: ticks of VideoInfo.time_base since its origin. Else as in Frame, upright."""

    pts: int
    pixels: np.ndarray
    alpha: np.ndarray | None
    carrier: VideoFrame | None

    def copied(self) -> DecodedFrame:
        """With pixels of its own."""
        return replace(self, pixels=self.pixels.copy())


class ToUpright:
    """Decoded frames of one video -> upright RGB: uint16 for deep videos, else uint8."""

    def __init__(self, info: VideoInfo) -> None:
        self._size = info.stored_size
        self._orientation = info.orientation
        conversion = Conversion.of(info.color, info.pix_fmt, *self._size)
        deep = is_deep(info)
        self._top = WHITE if deep else 255
        self._transfer = info.color.transfer if info.color.transfer in HDR_TRANSFERS else ""
        self._base = info.time_base
        self._to_rgb = ToRgb(conversion, codec=info.codec, deep=deep)
        self._carrier = CarrierMaker(upright=info.orientation == Orientation(), deep=deep)

    def pixels(self, frame: VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 or uint16 RGB, upright, C-contiguous."""
        return self._orientation.apply(self._to_rgb(frame, *self._size))

    def __call__(self, frame: VideoFrame, pts: int) -> DecodedFrame:
        alpha = alpha_of(frame, *self._size, top=self._top)
        upright = None if alpha is None else self._orientation.apply(alpha)
        return DecodedFrame(pts, self.pixels(frame), upright, self._carrier(frame))

    def frame(self, index: int, decoded: DecodedFrame) -> Frame:
        """index: of the frame to make."""
        return Frame(
            index,
            float(decoded.pts * self._base),
            decoded.pts,
            decoded.pixels,
            decoded.alpha,
            self._transfer,
            decoded.carrier,
        )


def is_deep(info: VideoInfo) -> bool:
    """Whether pixels have 16 bits: more than 8 in the video, or HDR, of which 8 are too few."""
    return info.bit_depth > 8 or info.color.transfer in HDR_TRANSFERS


def _end(packet: Packet) -> Fraction:
    return ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base


def _raise_if_out_of_memory(error: av.FFmpegError) -> None:
    if isinstance(error, MemoryError):
        raise error
