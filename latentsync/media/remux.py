"""What an output takes over from its source: sound, packet by packet, and whatever it says."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream

from latentsync.media.clock import Clock
from latentsync.media.container import has_flag, main_video, open_source
from latentsync.media.probe import VideoInfo

_log = logging.getLogger(__name__)

_RESTART_SECONDS = 1  # as in the reader

_STALE = ("major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "duration")
_STALE_BEGINNINGS = ("bps", "number_of_", "_statistics_", "duration-", "bps-")
"""Metadata that describes the old file and would be wrong in the new one."""


class PacketCopy:
    """Packets of some audio streams, payload untouched, with their times on the output's clock.

    Nothing is kept: the length of the sound does not change the memory.
    """

    def __init__(self, source: InputContainer, origin: Fraction, output: OutputContainer) -> None:
        """origin: instant [seconds, the source's clock] that is the output's zero."""
        self._input, self._origin, self._output = source, origin, output
        self._streams: dict[int, Stream] = {}

    def add_stream(self, index: int) -> None:
        """Before the header is written. index: number of the stream in the source."""
        template = self._input.streams[index]
        stream = self._output.add_stream_from_template(template)
        describe(stream, template)
        self._streams[index] = stream

    def packets(self) -> Iterator[Packet]:
        """After the header is written: in the order of the file."""
        if not self._streams:
            return
        clocks = {index: self._clock(index) for index in self._streams}
        wanted = [self._input.streams[index] for index in self._streams]
        try:
            for packet in self._input.demux(*wanted):
                if packet.dts is not None or packet.pts is not None:
                    yield self._readdressed(packet, clocks[packet.stream_index])
        except av.FFmpegError as error:
            _log.warning("%s: the sound ends early: %s", self._input.name, error)

    def _clock(self, index: int) -> Clock:
        """In ticks of the output stream, which are settled once the header is written."""
        base = self._streams[index].time_base or Fraction(1, 1000)
        length = _packet_seconds(self._input.streams[index]) or base
        least = 0 if has_flag(self._output, Flags.ts_nonstrict) else 1
        return Clock(step=length / base, restart=round(_RESTART_SECONDS / base), least=least)

    def _readdressed(self, packet: Packet, clock: Clock) -> Packet:
        stream = self._streams[packet.stream_index]
        old = packet.time_base
        new: Fraction = stream.time_base or old
        dts = packet.dts if packet.dts is not None else packet.pts or 0
        pts = packet.pts if packet.pts is not None else dts
        ticks = _rounded((dts * old - self._origin) / new)
        packet.dts = clock.tick(ticks)
        packet.pts = _rounded((pts * old - self._origin) / new) + packet.dts - ticks
        packet.duration = _rounded((packet.duration or 0) * old / new)
        packet.time_base, packet.stream = new, stream
        return packet


class SourceCopy:
    """Opens the source once more: for what it says, and for its sound unless that is replaced."""

    def __init__(self, source: VideoInfo, output: OutputContainer, *, sound: bool = True) -> None:
        self._source, self._output, self._sound = source, output, sound
        self._input = open_source(source.path)
        self._copy = PacketCopy(self._input, source.origin, output)

    def add_streams(self, video: Stream) -> None:
        """Before the header is written: add the audio streams, repeat what the source says."""
        self._output.metadata.update(_lasting(self._input.metadata))
        describe(video, main_video(self._input, self._source.path))
        self._copy_chapters()
        for audio in self._source.audio if self._sound else ():
            self._copy.add_stream(audio.index)

    def packets(self) -> Iterator[Packet]:
        """The packets of its sound, for an output whose header is written."""
        return self._copy.packets()

    def close(self) -> None:
        self._input.close()

    def _copy_chapters(self) -> None:
        chapters = self._input.chapters()
        for chapter in chapters:
            shift = round(self._source.origin / (chapter["time_base"] or 1))
            chapter["start"] -= shift
            chapter["end"] -= shift
        if chapters:
            self._output.set_chapters(chapters)


class InStep:
    """Hands packets on to an output as its picture advances. Nothing is kept but one packet."""

    def __init__(self, packets: Iterator[Packet], output: OutputContainer) -> None:
        self._packets, self._output = packets, output
        self._pending: Packet | None = None

    def until(self, second: Fraction | None) -> None:
        """Write the packets that are decoded up to the given second; None: all that are left."""
        while (packet := self._next()) is not None:
            if second is not None and (packet.dts or 0) * packet.time_base > second:
                self._pending = packet
                return
            self._output.mux_one(packet)

    def _next(self) -> Packet | None:
        packet, self._pending = self._pending, None
        return next(self._packets, None) if packet is None else packet


def _rounded(ticks: Fraction) -> int:
    return math.floor(ticks + Fraction(1, 2))


def _packet_seconds(stream: Stream) -> Fraction | None:
    """None for uncompressed sound, where every packet is as long as it likes."""
    context = stream.codec_context
    if not isinstance(context, AudioCodecContext) or not context.frame_size:
        return None
    return Fraction(context.frame_size, context.sample_rate)


def describe(stream: Stream, template: Stream) -> None:
    """Language, title, and whether it is the default one."""
    stream.metadata.update(_lasting(template.metadata))
    stream.disposition = template.disposition


def _lasting(metadata: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE and not key.lower().startswith(_STALE_BEGINNINGS)
    }
