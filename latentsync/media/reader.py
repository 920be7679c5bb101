"""A film as a stream of upright RGB frames, a few in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from latentsync.media.clock import Clock
from latentsync.media.color import Conversion, ToRgb
from latentsync.media.container import main_video, open_source
from latentsync.media.damage import Damage, Pace, missing_end
from latentsync.media.probe import VideoInfo, probe
from latentsync.types import Frame

_THREADS = 4  # each decoding thread holds pictures of its own: 3 MB at 1080p, 12 MB at 4K
_RESTART_SECONDS = 1  # a step back in time by more than this is a new recording, not a slip
_READ_FAILURES = 100  # reads that may fail in a row before the rest of the file counts as lost


class VideoReader:
    """Iterate for frames; each iteration opens the file anew, so that a film can be read twice.

    start, stop: frame indices, half open; frames before start are decoded all the same, because
        only decoding forward is exact in every format.
    Raises MediaError as probe does.
    """

    def __init__(self, path: Path | str, *, start: int = 0, stop: int | None = None) -> None:
        self.info: VideoInfo = probe(path)
        self._start, self._stop = start, stop
        self._damage = Damage()

    @property
    def damage(self) -> str | None:
        """What could not be read in the latest iteration, and where; None while all is well."""
        return str(self._damage) or None

    def __iter__(self) -> Iterator[Frame]:
        """Frames in the order of presentation; pixels (H, W, 3) uint8 RGB, upright, C-contiguous.

        pts is strictly increasing, in ticks of info.time_base counted from info.origin.
        """
        self._damage = Damage()
        with open_source(self.info.path) as container:
            stream = main_video(container, self.info.path)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(_THREADS, os.cpu_count() or 1)
            yield from self._frames(container, stream)

    def _frames(self, container: InputContainer, stream: VideoStream) -> Iterator[Frame]:
        info = self.info
        width, height = info.stored_size
        to_rgb = ToRgb(Conversion.of(info.color, info.pix_fmt, width, height), codec=info.codec)
        for index, (pts, picture) in enumerate(self._stamped(container, stream)):
            if self._stop is not None and index >= self._stop:
                return
            if index < self._start:
                continue
            pixels = info.orientation.apply(to_rgb(picture, width, height))
            yield Frame(index, float(pts * info.time_base), pts, pixels)

    def _stamped(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Pictures with their ticks since the origin; notes what is odd about them."""
        base = self.info.time_base
        origin = round(self.info.origin / base)
        clock = Clock(
            step=1 / (self.info.average_rate * base), restart=round(_RESTART_SECONDS / base)
        )
        pace = Pace(container)
        for picture in self._pictures(container, stream):
            pts = clock.tick(None if picture.pts is None else picture.pts - origin)
            second = float(pts * base)
            self._inspect(picture, second, stamp_moved=clock.repaired)
            if pace.missing(second):
                self._damage.note("frames seem to be missing", second)
            yield pts, picture

    def _inspect(self, picture: VideoFrame, second: float, *, stamp_moved: bool) -> None:
        if stamp_moved:
            self._damage.note("a time stamp does not advance and was moved", second)
        if picture.is_corrupt:
            self._damage.note("a damaged picture was repaired as far as possible", second)
        size, first = (picture.width, picture.height), self.info.stored_size
        if size != first:
            change = "the picture size is {}x{} and was scaled to {}x{}".format(*size, *first)
            self._damage.note(change, second)

    def _pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        second: float | None = None
        for packet in self._packets(container, stream):
            if packet.stream is not stream:  # stream_index is wrong on the last, empty packets
                continue
            if packet.pts is not None:
                second = float(packet.pts * packet.time_base - self.info.origin)
            try:
                pictures = stream.decode(packet)
            except av.FFmpegError as error:
                self._damage.note("a packet could not be decoded", second)
                _raise_if_out_of_memory(error)
                continue
            yield from pictures

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
        """Packets of all streams, past read errors, so that the end of the file is known."""
        end, failures = Fraction(0), 0
        while failures < _READ_FAILURES:
            try:
                for packet in container.demux():
                    failures = 0
                    end = max(end, _end(packet))
                    yield packet
                break
            except av.FFmpegError as error:
                _raise_if_out_of_memory(error)
                failures += 1
                self._damage.note("the file could not be read", float(end - self.info.origin))
        if promised := missing_end(container, stream, end):
            second = float(end - self.info.origin)
            self._damage.note(f"the file is cut off: {promised}; it ends", second)


def _end(packet: Packet) -> Fraction:
    return ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base


def _raise_if_out_of_memory(error: av.FFmpegError) -> None:
    if isinstance(error, MemoryError):
        raise error
