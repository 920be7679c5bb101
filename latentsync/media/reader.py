"""Reads a video as a stream of upright RGB frames, or samples a few of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from latentsync.media.container import DecodeIssues, main_video, open_source
from latentsync.media.decoder import Decoding, ToUpright
from latentsync.media.probe import VideoInfo, probed
from latentsync.types import Frame


class VideoReader:
    """Iterate for frames; each iteration opens the file anew, so that a video can be read twice.

    start, stop: frame indices, stop excluded; frames before start are decoded too, because only
        decoding from the beginning is exact in every format.
    Raises MediaError as probe does.
    """

    def __init__(
        self, source: Path | str | VideoInfo, *, start: int = 0, stop: int | None = None
    ) -> None:
        self.info: VideoInfo = probed(source)
        self._start, self._stop = start, stop
        self._issues = DecodeIssues()

    @property
    def issues(self) -> str | None:
        """What could not be read in the latest iteration, and where; None: all was read."""
        return str(self._issues) or None

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames in presentation order; pixels (H, W, 3) RGB, upright, C-contiguous: uint8,
        or uint16 for more than 8 bits per channel and HDR.

        pts is strictly increasing, in ticks of info.time_base counted from info.origin.
        """
        self._issues = DecodeIssues()
        upright = ToUpright(self.info)
        with Decoding(self.info, self._issues) as decoding:
            for index, (pts, decoded) in enumerate(decoding.stamped()):
                if self._stop is not None and index >= self._stop:
                    return
                if index >= self._start:
                    yield upright.frame(index, upright(decoded, pts))


def sample_frames(source: Path | str | VideoInfo, count: int) -> Iterator[Frame]:
    """Yields at most ``count`` distinct frames, in order, one from each of as many equal parts.

    index counts them from 0. Seeking lands on a key frame: it is taken if it lies well within the
    part, otherwise the frame at the part's middle is decoded. Issues are ignored. If the duration
    is unknown, only the first frame is read.
    Raises MediaError as probe does.
    """
    info = probed(source)
    if not info.duration_seconds:
        yield from VideoReader(info, stop=min(count, 1))
        return
    part = Fraction(info.duration_seconds) / max(count, 1)
    index = 0
    with open_source(info.path) as container:
        stream = main_video(container, info.path)
        stream.thread_type = "AUTO"
        for number in range(count):
            begin = info.origin + number * part
            decoded = _frame_within(container, stream, begin, part)
            if decoded is not None:
                yield _frame(info, decoded, index)
                index += 1


def _frame_within(
    container: InputContainer, stream: VideoStream, begin: Fraction, part: Fraction
) -> VideoFrame | None:
    """A key frame in the part's second quarter if there is one, else the frame at its middle."""
    middle = begin + part / 2
    base = stream.time_base or Fraction(1, av.time_base)
    container.seek(int(middle / base), stream=stream)
    latest = None
    for decoded in _decoded_frames(container, stream):
        second = _second(decoded)
        if second < begin:
            continue
        if second >= begin + part:
            break
        latest = decoded
        if second >= (begin + part / 4 if decoded.key_frame else middle):
            break
    return latest


def _decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    try:
        for packet in container.demux(stream):
            try:
                yield from stream.decode(packet)
            except av.FFmpegError:
                continue
    except av.FFmpegError:
        return


def _second(decoded: VideoFrame) -> Fraction:
    return Fraction(decoded.pts or 0) * (decoded.time_base or 0)


def _frame(info: VideoInfo, decoded: VideoFrame, index: int) -> Frame:
    pts = round((_second(decoded) - info.origin) / info.time_base)
    upright = ToUpright(info)
    return upright.frame(index, upright(decoded, pts))
