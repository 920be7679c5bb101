"""Muxes a few packets in memory, to check before any work whether an output is possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
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
from latentsync.media.remux import PacketCopy

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
        if audio.path not in self._first:
            self._first[audio.path] = _first_packets(container)
        for packet in self._first[audio.path].get(audio.index, ()):
            yield _duplicate(packet, container)


def _first_packets(container: InputContainer) -> dict[int, list[Packet]]:
    """Of each audio stream, by its number; of one that begins late, packets further on."""
    found: dict[int, list[Packet]] = {s.index: [] for s in container.streams.audio}
    _gather(container.demux(), found)
    for share in _PROBE_POSITIONS if not all(found.values()) else ():
        with suppress(av.FFmpegError):  # the format cannot seek
            container.seek(round(share * (container.duration or 0)))
            _gather(container.demux(), found)
    return found


def _gather(packets: Iterable[Packet], found: dict[int, list[Packet]]) -> None:
    with suppress(av.FFmpegError):
        for packet in islice(packets, _MAX_PACKETS):
            wanted = found.get(packet.stream_index)
            if wanted is not None and packet.size and len(wanted) < _SAMPLE_PACKETS:
                wanted.append(packet)
            if all(len(packets) == _SAMPLE_PACKETS for packets in found.values()):
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


def _codec_in(memory: BytesIO) -> str | None:
    memory.seek(0)
    with av.open(memory, metadata_errors=METADATA_ERRORS) as written:
        codecs = [s.codec.canonical_name for s in written.streams.audio if s.codec_context]
        return codecs[0] if codecs else None
