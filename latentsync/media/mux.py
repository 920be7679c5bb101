"""Writes one output file: its video, and the planned audio, interleaved."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from latentsync.media.audio.source import open_audio
from latentsync.media.audio.track import AudioTrackPlan, EncodedTrack
from latentsync.media.carrying import Carrying
from latentsync.media.container import METADATA_ERRORS, file_url, main_video
from latentsync.media.encoder import Encoder
from latentsync.media.probe import VideoInfo
from latentsync.media.remux import Interleaver, PacketCopy, describe, describe_file
from latentsync.media.scheduling import scheduling_kept
from latentsync.media.settings import EncodeSettings
from latentsync.media.streams import OtherPlan
from latentsync.media.tags import kept_tags, own_keys

_MAX_CLOCK = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What goes into an output. muxer: FFmpeg's name of its format. size: (width, height).

    end: seconds, where all but the video is cut off; None: not at all.
    others: what becomes of the source's further streams. stretch: of their times and the chapters'.
    """

    muxer: str
    source: VideoInfo
    settings: EncodeSettings
    size: tuple[int, int]
    tracks: Sequence[AudioTrackPlan]
    end: float | None = None
    others: Sequence[OtherPlan] = ()
    stretch: float = 1.0


class OpenFiles:
    """Files that packets are copied from, each opened at its first use."""

    def __init__(self) -> None:
        self._containers: dict[Path, InputContainer] = {}

    def __getitem__(self, path: Path) -> InputContainer:
        if path not in self._containers:
            self._containers[path] = open_audio(path)
        return self._containers[path]

    def close(self) -> None:
        for container in self._containers.values():
            container.close()


class Muxing:
    """An open output file. The caller has to close or discard it, also after an exception.

    Raises av.FFmpegError, OSError and, if the format does not support a codec, ValueError.
    """

    def __init__(self, file: Path | BinaryIO, contents: Contents, files: OpenFiles) -> None:
        """file: a path, or a buffer in memory. Nothing is written before start()."""
        self._contents, self._files = contents, files
        self._path = file if isinstance(file, Path) else None
        self._output = av.open(
            file_url(file) if isinstance(file, Path) else file,
            "w",
            format=contents.muxer,
            container_options=_muxer_options(contents, in_memory=self._path is None),
            metadata_errors=METADATA_ERRORS,
        )
        self.copies: dict[Path, PacketCopy] = {}
        self._encoded: list[EncodedTrack] = []
        self._carrying: Carrying | None = None

    def start(self, video: InputContainer | None = None) -> None:
        """Write the header.

        video: the source, opened for this only, to copy its video packets. None: frames are
        encoded.
        """
        source = self._contents.source
        stream = self._encoded_video() if video is None else self._copied_video(video)
        end = self._contents.end
        describe_file(self._output, source, end=end, stretch=self._contents.stretch)
        describe(stream, source)
        for plan in self._contents.others:
            if plan.way == "stated" and not _timecode(stream.metadata):
                stream.metadata["timecode"] = plan.stream.timecode
        for track in self._contents.tracks:
            self._add(track)
        self._carrying = self._others()
        packets = [copy.packets(end) for copy in self.copies.values()]
        packets += [track.packets() for track in self._encoded]
        self._audio = [Interleaver(stream, self._output) for stream in packets]
        with scheduling_kept():
            self._output.start_encoding()
        if self._carrying is not None:
            self._carrying.start()

    def write(self, packets: Iterable[Packet]) -> None:
        """Writes video packets, and the audio up to each of them."""
        for packet in packets:
            for audio in self._audio:
                audio.until((packet.dts or 0) * packet.time_base)
            self._output.mux_one(packet)

    def write_as_is(self, packets: Iterable[Packet]) -> None:
        """Writes packets of any stream of the output, in the given order."""
        for packet in packets:
            self._output.mux_one(packet)

    def finish(self) -> None:
        """Writes what the encoders still hold, the rest of the audio, and the trailer."""
        self.write(self.encoder.finish())
        self.end()

    def end(self) -> None:
        """Writes the rest of the audio, and the trailer."""
        for audio in self._audio:
            audio.until(None)
        self._output.close()
        if self._path is not None and self._carrying is not None:
            self._carrying.finish(self._path)

    def close(self) -> None:
        """Writes the trailer only."""
        self._output.close()

    def discard(self) -> None:
        with contextlib.suppress(av.FFmpegError, OSError):
            self._output.close()

    @property
    def issues(self) -> list[str]:
        """Which audio could not be read: a sentence for each file and stream."""
        found = [(path, copy.issues) for path, copy in self.copies.items()]
        found += [(track.path, track.issues) for track in self._encoded]
        return [f"{path}: {issue}" for path, issue in found if issue]

    def _encoded_video(self) -> Stream:
        contents = self._contents
        self.encoder = Encoder(self._output, contents.source, contents.settings, size=contents.size)
        return self.encoder.stream

    def _copied_video(self, video: InputContainer) -> Stream:
        source = self._contents.source
        self.video = PacketCopy(video, source.origin, self._output)
        return self.video.add_stream(main_video(video, source.path).index)

    def _add(self, track: AudioTrackPlan) -> None:
        audio = track.audio
        if track.encoder is not None:
            self._encoded.append(EncodedTrack(track, self._output, self._contents.end))
            return
        self._copy(audio.path, audio.origin).add_stream(audio.index)

    def _others(self) -> Carrying | None:
        source, plans = self._contents.source, self._contents.others
        if all(plan.way in ("lost", "stated") for plan in plans):
            return None
        container = self._files[source.path]
        copy, own_keys = self._copy(source.path, source.origin), bool(_own_keys(self._contents))
        carrying = Carrying(container, copy, self._output, own_keys=own_keys)
        for plan in plans:
            carrying.add(plan)
        return carrying

    def _copy(self, path: Path, origin: Fraction) -> PacketCopy:
        if path not in self.copies:
            stretch = self._contents.stretch
            self.copies[path] = PacketCopy(self._files[path], origin, self._output, stretch)
        return self.copies[path]


def _timecode(metadata: Mapping[str, str]) -> str:
    return next((value for key, value in metadata.items() if key.lower() == "timecode"), "")


def _own_keys(contents: Contents) -> list[str]:
    """The keys of the file's metadata that the muxer would drop."""
    return own_keys(kept_tags(contents.source.file_metadata), contents.muxer)


def _muxer_options(contents: Contents, *, in_memory: bool) -> dict[str, str]:
    if contents.muxer in ("matroska", "webm"):
        return {}
    # With the index in front a player can start before the download ends. For that FFmpeg reads
    # the file a second time, by its name.
    flags = "" if in_memory else "+faststart"
    if _own_keys(contents):
        # It keeps every key, but in a place that fewer players read the title from: only if needed.
        flags += "+use_metadata_tags"
    options = {"movflags": flags} if flags else {}
    copied = [track.audio for track in contents.tracks if track.encoder is None]
    source = contents.source
    if any(start > 0 for start in (source.start, *(audio.start for audio in copied))):
        rates = (audio.sample_rate for audio in copied)
        options["movie_timescale"] = str(_common_clock(source.time_base.denominator, rates))
    return options


def _common_clock(video: int, rates: Iterable[int]) -> int:
    """Ticks per second in which every frame and sample time is whole: the unit of a late start."""
    ticks = math.lcm(video, *rates)
    return ticks if ticks < _MAX_CLOCK else video
