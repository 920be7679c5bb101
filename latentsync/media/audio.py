"""The sound of a file as a stream of mono samples on the file's clock, a few seconds in memory."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags

from latentsync.errors import MediaError
from latentsync.media.container import METADATA_ERRORS, file_url, has_flag
from latentsync.media.damage import Damage
from latentsync.media.timeline import TimeLine, regrouped

_log = logging.getLogger(__name__)

SAMPLE_RATE = 16000
"""What speech models hear at. [Hz]"""

_BLOCK_SECONDS = 10
_ROUNDING = 0.25  # seconds by which a header may promise too much
_READ_FAILURES = 100  # reads that may fail in a row before the rest of the file counts as lost
_WITHOUT_CLOCK = {"mp3", "aac"}
"""Formats that are frames and nothing else. Their sound begins at once, whatever a decoder's delay
makes of it; their duration is a guess."""
_LISTS = {"hls", "dash", "concat", "sdp"}
"""FFmpeg demuxers that follow a list of other files."""


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """The sound track that is read.

    index: number of the stream in the file. layout: FFmpeg's name of its channels.
    start: seconds, when its first sample is due.
    origin: instant [seconds, container's clock] that counts as zero in everything else.
    """

    path: Path
    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str
    start: float
    origin: Fraction


def read_audio(path: Path | str, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The whole sound at once: (n,) float32, mono, [-1, 1), at sample_rate [Hz].

    230 MB for an hour at 16 kHz. What could not be read is logged. Raises MediaError as
    AudioReader does.
    """
    reader = AudioReader(path, sample_rate=sample_rate)
    samples = np.concatenate(list(reader))
    if reader.damage:
        _log.warning("%s: %s", path, reader.damage)
    return samples


class AudioReader:
    """Iterate for blocks; each iteration opens the file anew, so that a sound can be read twice.

    The first sound track of any container. Its time begins at the file's zero: a track that begins
    late, and one with holes in it, has silence there; what lies before zero is left out.
    Raises MediaError: no such file, a folder, empty, no sound file, no sound in it, a codec that
        cannot be decoded; once iterated, also: not one sample that can be decoded.
    """

    def __init__(self, path: Path | str, *, sample_rate: int = SAMPLE_RATE) -> None:
        with open_sound(Path(path)) as container:
            self.info = _describe(Path(path), container)
        self._rate = sample_rate
        self._damage = Damage()

    @property
    def damage(self) -> str | None:
        """What could not be read in the latest iteration, and where; None while all is well."""
        return str(self._damage) or None

    def __iter__(self) -> Iterator[np.ndarray]:
        """(n,) float32, mono, [-1, 1); all blocks are ten seconds long but the last."""
        size = _BLOCK_SECONDS * self._rate
        for block in regrouped(self.pieces(self._rate, "mono"), size):
            yield block[:, 0].astype(np.float32) / 32768

    def pieces(self, sample_rate: int, layout: str) -> Iterator[np.ndarray]:
        """(n, channels) int16, pieces of any length, at that rate [Hz], in that FFmpeg layout.

        In floating point, FFmpeg would mix two equal channels to 1.41 of one.
        """
        self._damage = Damage()
        line = TimeLine(sample_rate, self._damage, layout=layout)
        with open_sound(self.info.path) as container:
            stream = main_sound(container, self.info.path)
            for frame in self._frames(container, stream):
                yield from line.place(frame, self._second(frame.pts, frame.time_base))
            yield from line.flush()
            if not line.length:
                what = "not one sample of the sound can be decoded"
                remedy = "it is empty, damaged, or a few samples long; try to play it"
                raise MediaError(what, self.info.path, remedy)
            self._note_missing_end(container, stream, line.length / sample_rate)

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        second, failures = 0.0, 0
        while failures < _READ_FAILURES:
            try:
                for packet in container.demux(stream):
                    failures = 0
                    second = self._second(packet.pts, packet.time_base) or second
                    try:
                        frames = packet.decode()
                    except av.FFmpegError as error:
                        _raise_if_out_of_memory(error)
                        self._damage.note("a packet of sound could not be decoded", second)
                        continue
                    yield from frames
                return
            except av.FFmpegError as error:
                _raise_if_out_of_memory(error)
                failures += 1
                self._damage.note("the file could not be read", second)

    def _second(self, pts: int | None, base: Fraction | None) -> float | None:
        return None if pts is None or base is None else float(pts * base - self.info.origin)

    def _note_missing_end(self, container: InputContainer, stream: AudioStream, end: float) -> None:
        promised = _promised_end(container, stream) - float(self.info.origin)
        if promised - end > _ROUNDING:
            fault = f"the sound is cut off: its header promises {promised:.2f} s; it ends"
            self._damage.note(fault, end)


def open_sound(path: Path) -> InputContainer:
    """Open a file for its sound. Raises MediaError: not there, no file, empty, no sound file."""
    try:
        _check_file(path)
        container = av.open(file_url(path), metadata_errors=METADATA_ERRORS)
    except OSError as error:
        reason = f"{error.strerror}; check the path and its permissions"
        raise MediaError("cannot open the sound file", path, reason) from error
    except av.FFmpegError as error:
        what = "no sound file, or damaged at its very start"
        raise MediaError(what, path, "try to play it") from error
    if container.format.name in _LISTS:
        container.close()
        raise MediaError("a list of other files, not sound", path, "give a file such as .wav")
    return container


def _check_file(path: Path) -> None:
    mode, size = path.stat().st_mode, path.stat().st_size
    if stat.S_ISDIR(mode):
        raise MediaError("the sound file is a folder", path, "name a file in it")
    if not stat.S_ISREG(mode):
        raise MediaError("the sound is no regular file", path, "save it to a file first")
    if size == 0:
        raise MediaError("the sound file is empty (0 bytes)", path, "copy or record it again")


def main_sound(container: InputContainer, path: Path) -> AudioStream:
    """The first sound track. Raises MediaError: none, not decodable."""
    if not container.streams.audio:
        raise MediaError("no sound in the file", path, "give a file with speech in it")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise MediaError("the sound's codec cannot be decoded", path, "convert it to .wav")
    return stream


def _describe(path: Path, container: InputContainer) -> SoundInfo:
    stream = main_sound(container, path)
    start, origin = _start(stream), _origin(container)
    return SoundInfo(
        path=path,
        index=stream.index,
        codec=stream.codec.canonical_name,
        sample_rate=stream.codec_context.sample_rate,
        channels=stream.codec_context.channels,
        layout=stream.codec_context.layout.name,
        start=float(start - origin),
        origin=origin,
    )


def _origin(container: InputContainer) -> Fraction:
    """0, except for formats whose clock starts anywhere: there, the first thing to see or hear."""
    if not has_flag(container, Flags.ts_discont) and container.format.name not in _WITHOUT_CLOCK:
        return Fraction(0)
    return min(_start(s) for s in (*container.streams.video, *container.streams.audio))


def _start(stream: av.stream.Stream) -> Fraction:
    return (stream.start_time or 0) * (stream.time_base or Fraction(0))


def _promised_end(container: InputContainer, stream: AudioStream) -> float:
    """Second, container's clock, where the header says that the track ends; 0: it does not say."""
    if container.format.name in _WITHOUT_CLOCK:
        return 0.0
    if stream.duration and stream.time_base:
        return float(_start(stream) + stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # else this may be the end of the film
    return (container.duration or 0) / av.time_base if alone else 0.0


def _raise_if_out_of_memory(error: av.FFmpegError) -> None:
    if isinstance(error, MemoryError):
        raise error
