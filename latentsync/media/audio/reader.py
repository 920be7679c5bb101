"""The audio of a file as a stream of mono samples, a few seconds in memory at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from latentsync.errors import MediaError
from latentsync.media.audio.assembler import AudioAssembler, SampleFormat, regrouped
from latentsync.media.audio.info import AudioSource
from latentsync.media.audio.source import (
    WITHOUT_CLOCK,
    audio_of,
    audio_stream,
    main_audio,
    open_audio,
)
from latentsync.media.container import DecodeIssues, stream_start
from latentsync.media.probe import VideoInfo

_log = logging.getLogger(__name__)

SAMPLE_RATE = 16000
"""Hz; the rate that speech models take."""

_BLOCK_SECONDS = 10
_ROUNDING = 0.25  # seconds by which a header may state too much
_READ_FAILURES = 100  # reads that may fail in a row before the rest of the file counts as lost


def read_audio(path: Path | str, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The whole audio at once: (n,) float32, mono, [-1, 1), at sample_rate [Hz].

    230 MB for an hour at 16 kHz. Parts that could not be read are logged. Raises MediaError
    as AudioReader does.
    """
    reader = AudioReader(path, sample_rate=sample_rate)
    samples = np.concatenate(list(reader))
    if reader.issues:
        _log.warning("%s: %s", path, reader.issues)
    return samples


class AudioReader:
    """Iterate for blocks; each iteration opens the file anew, so that it can be read twice.

    The first audio track of any container, unless another is named. Time begins at the file's
    zero: a late start and gaps become silence; samples before zero are dropped.
    Raises MediaError: no such file, a folder, empty, not an audio file, no audio in it, a codec
        that cannot be decoded; when iterated, also: no sample that can be decoded.
    """

    def __init__(
        self, source: Path | str | VideoInfo | AudioSource, *, sample_rate: int = SAMPLE_RATE
    ) -> None:
        """source: a file, or the info of it or of one of its tracks, which is then not probed."""
        self.info: AudioSource = _described(source)
        self._rate = sample_rate
        self._issues = DecodeIssues()

    @property
    def issues(self) -> str | None:
        """What could not be read in the latest iteration, and where; None: all was read."""
        return str(self._issues) or None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields (n,) float32, mono, [-1, 1): blocks of ten seconds; the last may be shorter."""
        size = _BLOCK_SECONDS * self._rate
        block = None
        for block in regrouped(self.pieces(self._rate, "mono"), size):
            yield block[:, 0].astype(np.float32) / 32768
        if block is None:
            raise no_samples_in(self.info.path)

    def pieces(
        self, sample_rate: int, layout: str, sample_format: SampleFormat = "s16"
    ) -> Iterator[np.ndarray]:
        """Yields (n, channels) int16 or int32, n varies, at that rate [Hz], in that FFmpeg layout.

        Yields nothing, and notes an issue, if no sample can be decoded. Integers, because in
        floating point FFmpeg would mix two equal channels to 1.41 times one.
        """
        self._issues = DecodeIssues()
        assembler = AudioAssembler(
            sample_rate, self._issues, layout=layout, sample_format=sample_format
        )
        with open_audio(self.info.path) as container:
            stream = audio_stream(container, self.info)
            for frame in self._frames(container, stream):
                yield from assembler.place(frame, self._second(frame.pts, frame.time_base))
            yield from assembler.flush()
            if not assembler.length:
                self._issues.note("no sample of the audio can be decoded", None)
                return
            self._note_missing_end(container, stream, assembler.length / sample_rate)

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
                        self._issues.note("a packet of audio could not be decoded", second)
                        continue
                    yield from frames
                return
            except av.FFmpegError as error:
                _raise_if_out_of_memory(error)
                failures += 1
                self._issues.note("the file could not be read", second)

    def _second(self, pts: int | None, base: Fraction | None) -> float | None:
        return None if pts is None or base is None else float(pts * base - self.info.origin)

    def _note_missing_end(self, container: InputContainer, stream: AudioStream, end: float) -> None:
        stated = _stated_end(container, stream) - float(self.info.origin)
        if stated - end > _ROUNDING:
            issue = f"the audio is cut off: its header states {stated:.2f} s; it ends"
            self._issues.note(issue, end)


def no_samples_in(path: Path) -> MediaError:
    """The error for audio without a sample that can be decoded."""
    remedy = "it is empty, damaged, or a few samples long; try to play it"
    return MediaError("no sample of the audio can be decoded", path, remedy)


def _described(source: Path | str | VideoInfo | AudioSource) -> AudioSource:
    if isinstance(source, AudioSource):
        return source
    if isinstance(source, VideoInfo):
        return audio_of(source)
    with open_audio(Path(source)) as container:
        return main_audio(container, Path(source))


def _stated_end(container: InputContainer, stream: AudioStream) -> float:
    """Where the track ends by its header [seconds, container's time]; 0: not stated."""
    if container.format.name in WITHOUT_CLOCK:
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream_start(stream) + stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # otherwise this may be the end of the video
    return (container.duration or 0) / av.time_base if alone else 0.0


def _raise_if_out_of_memory(error: av.FFmpegError) -> None:
    if isinstance(error, MemoryError):
        raise error
