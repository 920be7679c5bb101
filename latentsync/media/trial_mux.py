"""Muxes a few packets in memory, to check before any work whether an output is possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet

from latentsync.media.audio.info import AudioSource
from latentsync.media.audio.source import audio_stream, main_audio
from latentsync.media.container import METADATA_ERRORS
from latentsync.media.mux import Contents, Muxing, OpenFiles
from latentsync.media.probe import VideoInfo
from latentsync.media.remux import PacketCopy
from latentsync.media.streams import OtherPlan, OtherStream
from latentsync.media.subtitles import KINDS

_SAMPLE_PACKETS = 4  # packets of a stream that a muxer needs, for AC-3's header for example
_MAX_PACKETS = 1000  # packets of any stream read to find them, at each position
_PROBE_POSITIONS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)  # shares of the file's duration


class TrialMux:
    """Context manager: holds the files that audio is read from open during the checks."""

    def __init__(self) -> None:
        self._files = OpenFiles()
        self._first: dict[Path, dict[int, list[Packet]]] = {}

    def __enter__(self) -> TrialMux:
        return self

    def __exit__(self, *_error: object) -> None:
        self._files.close()

    def audio_in(self, path: Path) -> AudioSource:
        """The file's first audio track. Raises MediaError as AudioReader does."""
        return main_audio(self._files[path], path)

    def is_empty(self, audio: AudioSource) -> bool:
        """Whether no packets were found."""
        return not any(True for _ in self._packets(audio))

    def can_copy(self, audio: AudioSource, muxer: str) -> bool:
        """Whether its packets can be muxed, and read back with the same codec."""
        memory = BytesIO()
        try:
            with av.open(memory, "w", format=muxer) as output:
                copy = PacketCopy(self._files[audio.path], audio.origin, output)
                copy.add_stream(audio.index)
                output.start_encoding()
                for packet in copy.remapped(self._packets(audio)):
                    output.mux_one(packet)
            return self.is_empty(audio) or _codec_in(memory) == audio.codec
        except (av.FFmpegError, ValueError):  # ValueError: the format does not support the codec
            return False

    def can_carry(self, plan: OtherPlan, source: VideoInfo, muxer: str) -> bool:
        """Whether a stream with packets, beside video and audio, can be muxed in the way that was
        planned, and read back with its codec, or that of the conversion."""
        memory, container, index = BytesIO(), self._files[source.path], plan.stream.index
        converts = plan.way == "converted"
        written = 0
        try:
            with av.open(memory, "w", format=muxer, metadata_errors=METADATA_ERRORS) as output:
                copy = PacketCopy(container, source.origin, output)
                copy.add_stream(index, converts=converts)
                output.start_encoding()
                first = self._first_of(source.path).get(index) or [_made_up(container, index)]
                for packet in copy.remapped(_duplicate(one, container) for one in first):
                    output.mux_one(packet)
                    written += 1
            if converts and not written:  # the first ones show nothing
                return True
            codec = KINDS[muxer] if converts else plan.stream.codec
            return _first_in(memory) == (plan.stream.kind, codec)
        except (av.FFmpegError, ValueError):  # ValueError: the format does not support the codec
            return False

    def can_decode(self, audio: AudioSource) -> bool:
        """Whether any packet can be decoded."""
        container = self._files[audio.path]
        stream = audio_stream(container, audio)
        for packet in self._packets(audio):
            if _decodes(packet):
                return True
        with suppress(av.FFmpegError):
            return any(_decodes(packet) for packet in islice(container.demux(stream), _MAX_PACKETS))
        return False

    def make(self, contents: Contents) -> None:
        """Writes header, the first copied packets, trailer. Raises what Muxing raises."""
        muxing = Muxing(BytesIO(), contents, self._files)
        try:
            muxing.start()
            for path, copy in muxing.copies.items():
                copied = (t.audio for t in contents.tracks if t.encoder is None)
                packets = [p for s in copied if s.path == path for p in self._packets(s)]
                muxing.write_as_is(copy.remapped(packets))
            muxing.close()
        except BaseException:
            muxing.discard()
            raise

    def _packets(self, audio: AudioSource) -> Iterator[Packet]:
        """Copies of some of its first packets; none if none were found."""
        container = self._files[audio.path]
        for packet in self._first_of(audio.path).get(audio.index, ()):
            yield _duplicate(packet, container)

    def _first_of(self, path: Path) -> dict[int, list[Packet]]:
        if path not in self._first:
            self._first[path] = _first_packets(self._files[path])
        return self._first[path]


def _first_packets(container: InputContainer) -> dict[int, list[Packet]]:
    """Of each stream, by its number; of audio that begins late, packets further on."""
    found: dict[int, list[Packet]] = {s.index: [] for s in container.streams}
    needed = [found[s.index] for s in container.streams.audio]
    _gather(container.demux(), found, needed)
    for share in _PROBE_POSITIONS if not all(needed) else ():
        with suppress(av.FFmpegError):  # the format cannot seek
            container.seek(round(share * (container.duration or 0)))
            _gather(container.demux(), found, needed)
    return found


def _gather(
    packets: Iterable[Packet], found: dict[int, list[Packet]], needed: list[list[Packet]]
) -> None:
    with suppress(av.FFmpegError):
        for packet in islice(packets, _MAX_PACKETS):
            wanted = found.get(packet.stream_index)
            if wanted is not None and packet.size and len(wanted) < _SAMPLE_PACKETS:
                wanted.append(packet)
            if all(len(packets) == _SAMPLE_PACKETS for packets in needed):
                return


def _duplicate(packet: Packet, container: InputContainer) -> Packet:
    copy = Packet(bytes(packet))
    copy.stream = container.streams[packet.stream_index]
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    copy.duration, copy.is_keyframe = packet.duration or 0, packet.is_keyframe
    return copy


def _decodes(packet: Packet) -> bool:
    with suppress(av.FFmpegError):
        return bool(packet.decode())
    return False


def _made_up(container: InputContainer, index: int) -> Packet:
    """Two bytes that state a length, and one of text: for a stream that shows nothing at first."""
    packet = Packet(b"\x00\x01x")
    packet.stream = container.streams[index]
    packet.pts = packet.dts = 0
    packet.time_base, packet.duration = packet.stream.time_base or Fraction(1, 1000), 1
    return packet


def _first_in(memory: BytesIO) -> tuple[str, str] | None:
    """Kind and codec of the first stream; None: there is none."""
    memory.seek(0)
    with av.open(memory, metadata_errors=METADATA_ERRORS) as written:
        made = [OtherStream.of(stream) for stream in written.streams]
        return (made[0].kind, made[0].codec) if made else None


def _codec_in(memory: BytesIO) -> str | None:
    memory.seek(0)
    with av.open(memory, metadata_errors=METADATA_ERRORS) as written:
        codecs = [s.codec.canonical_name for s in written.streams.audio if s.codec_context]
        return codecs[0] if codecs else None
