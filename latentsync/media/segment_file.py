"""Segments: runs of a video's frames, each encoded to a file of its own; media.joining joins them.

A segment begins with a key frame, and none of its frames refers to another segment. Its file keeps
packets as the encoder made them. When they are joined, frames get their times from the plan: all
that counts here is their order.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from latentsync.errors import MediaError
from latentsync.media.container import file_url
from latentsync.media.encoder import Encoder, padding
from latentsync.media.encoders import ENCODERS
from latentsync.media.probe import VideoInfo
from latentsync.media.scheduling import scheduling_kept
from latentsync.media.settings import EncodeSettings
from latentsync.media.target import as_media_error
from latentsync.types import Box, Frame

_CONTAINER = "nut"  # keeps packets and extradata byte for byte, whatever the codec...
_CONTAINERS = {"prores": "mov"}  # ... but these, which it does not know


@dataclass(frozen=True, slots=True)
class Segment:
    """A complete file. frames: number of frames. delay: by how many frames the encoder's packets
    are decoded ahead. nbytes: its size."""

    path: Path
    frames: int
    delay: int
    nbytes: int


class SegmentWriter:
    """Context manager; takes frames as VideoWriter does. The file appears when it is complete.

    segment: after a clean exit, what was written. Raises MediaError if writing fails; after any
    exception nothing is left.
    """

    def __init__(
        self, target: Path, source: VideoInfo, settings: EncodeSettings, *, size: tuple[int, int]
    ) -> None:
        """size: (width, height) of the frames. settings: with a named encoder and pixel format."""
        self.target, self._source, self._settings, self._size = target, source, settings, size
        self._part = target.with_name(f".{target.name}.{os.getpid()}.part")
        self._output: OutputContainer | None = None
        self._frames, self._pts, self._dts = 0, [], []  # type: tuple[int, list[int], list[int]]
        self.padding = padding(size, settings.pix_fmt)
        self.notes: list[str] = []
        self.segment: Segment | None = None

    def __enter__(self) -> SegmentWriter:
        with self._discarding_on_error():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            output = av.open(file_url(self._part), "w", format=container_of(self._settings.codec))
            self._output = output
            self._encoder = Encoder(output, self._source, self._settings, size=self._size)
            with scheduling_kept():
                output.start_encoding()
        return self

    def convert(self, frame: Frame, *, roi: Box | None = None) -> VideoFrame:
        """As VideoWriter.convert."""
        with self._as_media_error():
            return self._encoder.convert(frame, roi)

    def write_converted(self, converted: VideoFrame) -> None:
        """As VideoWriter.write_converted."""
        with self._as_media_error():
            self._write(self._encoder.encode(converted))
        self._frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            return
        with self._discarding_on_error():
            self._write(self._encoder.finish())
            assert self._output is not None
            self._output.close()
            if len(self._pts) != self._frames:
                what = f"the encoder made {len(self._pts)} packets of {self._frames} frames"
                raise MediaError(what, self.target, "choose another output.codec")
            flush(self._part)
            os.replace(self._part, self.target)  # noqa: PTH105
            size = self.target.stat().st_size
            self.segment = Segment(self.target, self._frames, self._delay(), size)

    def _write(self, packets: Iterable[Packet]) -> None:
        assert self._output is not None
        for packet in packets:
            self._pts.append(packet.pts or 0)
            self._dts.append(packet.dts if packet.dts is not None else packet.pts or 0)
            self._output.mux_one(packet)

    def _delay(self) -> int:
        first = min(self._pts)
        return sum(dts < first for dts in self._dts)

    def _discard(self) -> None:
        if self._output is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._output.close()
        self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _discarding_on_error(self) -> Iterator[None]:
        try:
            with self._as_media_error():
                yield
        except BaseException:
            self._discard()
            raise

    def _as_media_error(self) -> AbstractContextManager[None]:
        return as_media_error("cannot write a segment", self.target)


def container_of(encoder: str) -> str:
    """FFmpeg's name of the format of a segment's file. encoder: a key of ENCODERS."""
    return _CONTAINERS.get(ENCODERS[encoder].codec, _CONTAINER)


def packets_of(segment: Segment) -> Iterator[Packet]:
    """The packets in decoding order; pts: the number of the frame in the segment, from 0.

    Raises MediaError where the file is not what was written.
    """
    with _opened(segment) as container:
        order = _ranks(segment)
        stream = container.streams.video[0]
        packets = (packet for packet in container.demux(stream) if packet.size)
        for number, packet in enumerate(packets):
            packet.pts = order[number]
            yield packet


def extradata_of(segment: Segment) -> bytes:
    """What a decoder needs before the first packet."""
    with _opened(segment) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def _ranks(segment: Segment) -> list[int]:
    """For each packet in decoding order, the number of its frame."""
    with _opened(segment) as container:
        stream = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) != len(stamps) or len(stamps) != segment.frames or _repeats(known):
        what = f"a segment has {len(stamps)} frames instead of {segment.frames}"
        raise MediaError(what, segment.path, "delete it: it is rendered again")
    rank = {stamp: number for number, stamp in enumerate(known)}
    return [rank[stamp] for stamp in stamps if stamp is not None]


def _repeats(stamps: Sequence[int]) -> bool:
    return len(set(stamps)) < len(stamps)


@contextlib.contextmanager
def _opened(segment: Segment) -> Iterator[av.container.InputContainer]:
    try:
        with av.open(file_url(segment.path)) as container:
            yield container
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
        raise MediaError(
            "cannot read a segment", segment.path, f"{reason}; delete it: it is rendered again"
        ) from error


def flush(path: Path) -> None:
    """Returns when the file's contents are on the disk, so that a power cut cannot lose them."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
