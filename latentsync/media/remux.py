"""Copies streams and metadata from a source to an output, packet by packet."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from latentsync.media.container import has_flag
from latentsync.media.decoder import PtsNormalizer
from latentsync.media.probe import VideoInfo
from latentsync.media.streams import OtherStream
from latentsync.media.subtitles import SubtitleConversion
from latentsync.media.tags import IN_QUICKTIME, kept_tags

if TYPE_CHECKING:
    from av.container.core import Chapter

_RESTART_SECONDS = 1  # as in the decoder
_NEVER = 2**62  # ticks
_INTERLEAVED = 10  # seconds by which the streams of a file may be ahead of each other
_REORDERED = 32  # packets without DTS that are held back; H.264 reorders at most 16

_FINE = Fraction(1, 90_000)  # seconds; of chapters whose times are no whole ticks any more

_TAGS = {
    "hevc": ("hvc1", "hev1", "dvh1"),
    "h264": ("avc1", "avc3"),
    "prores": ("apch", "apcn", "apcs", "apco", "ap4h", "ap4x"),
}
"""Codec -> its names in MP4 and MOV, the usual first. FFmpeg writes "hev1" unless told otherwise,
which Apple's players refuse. Of ProRes the name states the profile, without which 4444 is read with
10 bits."""


class PacketCopy:
    """Packets of some streams, payload unchanged, with time stamps in the output's time base.

    Memory does not depend on the length of the audio.
    """

    def __init__(
        self,
        source: InputContainer,
        origin: Fraction,
        output: OutputContainer,
        stretch: float = 1.0,
    ) -> None:
        """origin: the source's time stamp [seconds] that is the output's zero. stretch: of the
        times of subtitles and data; audio has its own speed."""
        self._input, self._origin, self._output = source, origin, output
        self._stretch = Fraction(stretch)
        self.streams: dict[int, Stream] = {}
        """Number of a stream in the source -> the output's."""
        self._conversions: dict[int, SubtitleConversion] = {}
        self._cut: set[int] = set()
        self._unread: str | None = None

    def add_stream(self, index: int, *, converts: bool = False) -> Stream:
        """Call before the header is written. index: number of the stream in the source.

        converts: it is subtitles whose text is encoded for the output.
        """
        template = self._input.streams[index]
        if converts:
            assert isinstance(template, SubtitleStream)
            self._conversions[index] = SubtitleConversion(template, self._output)
            stream = self._conversions[index].stream
        else:
            # Opaque: else PyAV wants an encoder of the codec, which AV1 and others have not.
            stream = self._output.add_stream_from_template(template, opaque=True)
            if isinstance(stream, VideoStream):
                _keep_tag(stream, cast(VideoStream, template))
        describe(stream, template)
        self.streams[index] = stream
        return stream

    @property
    def issues(self) -> str | None:
        """What could not be read, or was cut off at the end; None: nothing."""
        cut = ", ".join(str(OtherStream.of(self._input.streams[n])) for n in sorted(self._cut))
        gone = f"what begins after the end of the video is not kept: {cut}" if cut else None
        return "; ".join(filter(None, (self._unread, gone))) or None

    def packets(self, end: float | None = None) -> Iterator[Packet]:
        """Yields in the order of the file; after the header is written. end: seconds; None: all."""
        wanted = [self._input.streams[index] for index in self.streams]
        if not wanted:
            return
        timed = {stream.index for stream in wanted if not _is_sparse(stream)}
        packets = self.remapped(_with_durations(_with_dts(self._read(wanted), timed), timed))
        yield from packets if end is None else self._until(Fraction(end), packets)

    def _until(self, end: Fraction, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Those that begin before the end; a subtitle ends there, too."""
        sparse = {stream.index: n for n, stream in self.streams.items() if _is_sparse(stream)}
        for packet in packets:
            left = end - (packet.pts or 0) * packet.time_base
            if left > 0:
                if packet.stream_index in sparse and packet.duration:
                    packet.duration = min(packet.duration, _rounded(left / packet.time_base))
                yield packet
            elif packet.stream_index in sparse:
                self._cut.add(sparse[packet.stream_index])
            elif -left > _INTERLEAVED:
                self._cut |= set(sparse.values())  # any that follow are not read
                return

    def remapped(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Packets of the input with the output's streams and time stamps, corrected to rise."""
        normalizers = {index: self._normalizer(index) for index in self.streams}
        for packet in packets:
            index, conversion = packet.stream_index, self._conversions.get(packet.stream_index)
            shown = packet if conversion is None else conversion.converted(packet)
            if shown is not None:
                yield self._remapped(shown, normalizers[index])

    def _read(self, streams: list[Stream]) -> Iterator[Packet]:
        try:
            for packet in self._input.demux(*streams):
                if packet.dts is not None or packet.pts is not None:
                    yield packet
        except av.FFmpegError as error:
            self._unread = f"the audio ends early: {error.strerror or type(error).__name__}"

    def _normalizer(self, index: int) -> PtsNormalizer:
        """In ticks of the output stream, which are known once the header is written."""
        base = self.streams[index].time_base or Fraction(1, 1000)
        length = _packet_seconds(self._input.streams[index]) or base
        least = 0 if has_flag(self._output, Flags.ts_nonstrict) else 1
        sparse = _is_sparse(self._input.streams[index])
        restart = _NEVER if sparse else round(_RESTART_SECONDS / base)
        return PtsNormalizer(step=length / base, restart=restart, least=least)

    def _remapped(self, packet: Packet, normalizer: PtsNormalizer) -> Packet:
        stream = self.streams[packet.stream_index]
        old = packet.time_base
        new: Fraction = stream.time_base or old
        dts = packet.dts if packet.dts is not None else packet.pts or 0
        pts = packet.pts if packet.pts is not None else dts
        speed = new / self._stretch if _is_sparse(stream) else new
        ticks, shown = (_rounded((time * old - self._origin) / speed) for time in (dts, pts))
        if _is_sparse(stream):  # one before zero would move the whole video in Matroska
            ticks = shown = max(0, shown)
        packet.dts = normalizer.normalize(ticks)
        packet.pts = packet.dts + shown - ticks
        packet.duration = _rounded((packet.duration or 0) * old / speed)
        packet.time_base, packet.stream = new, stream
        return packet


class Interleaver:
    """Writes packets to an output as its video advances; holds one packet at most."""

    def __init__(self, packets: Iterator[Packet], output: OutputContainer) -> None:
        self._packets, self._output = packets, output
        self._pending: Packet | None = None

    def until(self, second: Fraction | None) -> None:
        """Writes the packets with DTS up to the given second; None: all that are left."""
        while (packet := self._next()) is not None:
            if second is not None and (packet.dts or 0) * packet.time_base > second:
                self._pending = packet
                return
            self._output.mux_one(packet)

    def _next(self) -> Packet | None:
        packet, self._pending = self._pending, None
        return next(self._packets, None) if packet is None else packet


def _keep_tag(stream: VideoStream, template: VideoStream) -> None:
    """Names the stream of an MP4 or MOV as its source does, or as players expect. Matroska takes
    such a name of ProRes only."""
    codec = template.codec.canonical_name
    muxer, tags = stream.container.format.name, _TAGS.get(codec, ())
    if tags and (muxer in ("mp4", "mov") or (muxer, codec) == ("matroska", "prores")):
        own = template.codec_context.codec_tag
        stream.codec_context.codec_tag = own if own in tags else tags[0]


def _is_sparse(stream: Stream) -> bool:
    """Whether its packets come now and then: subtitles and data, unlike video and audio."""
    return stream.type not in ("video", "audio")


def _rounded(ticks: Fraction) -> int:
    return math.floor(ticks + Fraction(1, 2))


def _packet_seconds(stream: Stream) -> Fraction | None:
    """None for uncompressed audio, whose packets have any length."""
    context = stream.codec_context
    if not isinstance(context, AudioCodecContext) or not context.frame_size:
        return None
    return Fraction(context.frame_size, context.sample_rate)


def _with_dts(packets: Iterable[Packet], timed: Container[int]) -> Iterator[Packet]:
    """The same packets, with DTS for the first ones of a stream that reorders its frames.

    Matroska stores none, and FFmpeg computes them only once it has seen the reordering.
    timed: the streams that may be held back for it.
    """
    held: dict[int, list[Packet]] = {}
    known: set[int] = set()
    for packet in packets:
        index = packet.stream_index
        waiting = held.setdefault(index, [])
        new = index in timed and index not in known
        if packet.dts is None and new and len(waiting) < _REORDERED:
            waiting.append(packet)
            continue
        known.add(index)
        first = held.pop(index, [])
        for before, one in enumerate(reversed(first), start=1):
            one.dts = (packet.dts or 0) - before * max(1, one.duration or 0)
        yield from first
        yield packet
    for first in held.values():
        yield from first


def _with_durations(packets: Iterable[Packet], timed: Container[int]) -> Iterator[Packet]:
    """The same packets; a missing duration of a timed stream is the time until the next packet.

    Without it an MP4 ends where its last packet begins: ALAC from Matroska loses its end.
    """
    held: dict[int, Packet] = {}
    lengths: dict[int, int] = {}
    for packet in packets:
        before = held.pop(packet.stream_index, None)
        if before is not None:
            before.duration = max(0, (packet.dts or 0) - (before.dts or 0))
            lengths[packet.stream_index] = before.duration
            yield before
        if packet.duration or packet.stream_index not in timed:
            yield packet
        else:
            held[packet.stream_index] = packet
    for index, packet in held.items():
        packet.duration = lengths.get(index, 0)
        yield packet


class Described(Protocol):
    """A stream, or its description."""

    @property
    def metadata(self) -> Mapping[str, str]: ...

    @property
    def disposition(self) -> Disposition: ...


def describe(stream: Stream, template: Described) -> None:
    """Sets language, title, and whether it is the default track."""
    kept = kept_tags(template.metadata)
    if "name" in kept:  # the title of an MP4's track, when it is read
        kept.setdefault("title", kept["name"])
    if "language" in kept and stream.container.format.name == "mov":
        kept["language"] = IN_QUICKTIME.get(kept["language"], kept["language"])
    stream.metadata.update(kept)
    stream.disposition = template.disposition


def describe_file(
    output: OutputContainer, source: VideoInfo, *, end: float | None = None, stretch: float = 1.0
) -> None:
    """Sets title, chapters etc.; call before the header is written.

    end: seconds, where the chapters are cut off; None: not at all. stretch: of their times.
    """
    output.metadata.update(kept_tags(source.file_metadata))
    chapters = [dict(chapter) for chapter in source.chapters]
    for chapter in chapters:
        old = chapter["time_base"] or Fraction(1)
        base = chapter["time_base"] = old if stretch == 1 else _FINE
        last = math.inf if end is None else round(Fraction(end) / base)
        begin, stop = (
            round((chapter[side] * old - source.origin) * Fraction(stretch) / base)
            for side in ("start", "end")
        )
        chapter["start"], chapter["end"] = begin, min(stop, last)
    if end is not None:
        chapters = [one for one in chapters if one["start"] * one["time_base"] < end]
    if chapters:
        output.set_chapters(cast("list[Chapter]", chapters))
