"""Places speeches in time and mixes them, a few seconds in memory at a time."""

from __future__ import annotations

import math
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np

from latentsync.errors import MediaError
from latentsync.media.audio.assembler import regrouped
from latentsync.media.audio.info import AudioSource
from latentsync.media.audio.limiter import limited
from latentsync.media.audio.reader import SAMPLE_RATE, AudioReader
from latentsync.media.audio.source import audio_of
from latentsync.media.audio.tempo import stretched
from latentsync.media.probe import VideoInfo

BLOCK_SECONDS = 10
FADE = 0.01
"""Seconds over which a speech, or the video's own audio, is faded in and out where it is cut."""
ATTACK, RELEASE = 0.1, 0.5
"""Seconds in which the video's own audio is turned down before a speech, and up again after it."""
RATE = 48000
CHANNELS = {"mono": 1, "stereo": 2}
FULL_SCALE = 32768
WAV_BYTES = 2**32 - 64
"""The most that the samples may take: a WAV file counts in 32 bits, its header included."""


@dataclass(frozen=True, slots=True)
class PlacedAudio:
    """A part of an audio file: what begins at its second ``offset`` is heard from start to end
    [seconds of the output]."""

    path: Path
    start: float
    end: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Bed:
    """What is heard of the video's own audio.

    level: its factor while there is speech, 0 to 1. attack, release: seconds before a speech in
    which it falls to that, and after it in which it rises again. stretch: seconds of the output for
    each second of the video.
    """

    level: float = 0.0
    attack: float = FADE
    release: float = FADE
    stretch: float = 1.0

    @classmethod
    def at(cls, decibels: float, stretch: float = 1.0) -> Bed:
        """It stays under the speech, at that level [dB]."""
        return cls(10 ** (decibels / 20), ATTACK, RELEASE, stretch)


def audio_seconds(source: Path | VideoInfo) -> float:
    """Length of the first audio track, decoded. Raises MediaError as AudioReader does."""
    return sum(len(block) for block in AudioReader(source)) / SAMPLE_RATE


Spans = list[tuple[float, float]]
"""(start, end) [seconds], in order, apart from each other."""


def spoken_spans(placed: Sequence[PlacedAudio]) -> Spans:
    """The union of the parts."""
    return union((one.start, one.end) for one in placed)


def union(given: Iterable[tuple[float, float]], before: float = 0.0, after: float = 0.0) -> Spans:
    """Of spans in any order, each made longer by so many seconds before and after it."""
    spans: Spans = []
    for start, end in sorted((start - before, end + after) for start, end in given):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


class MixedSpeech:
    """Iterate for (n,) float32 mono blocks at SAMPLE_RATE: the placed speeches of one speaker.

    seconds: length of the whole. Silence where there is none of them.
    """

    def __init__(self, placed: Sequence[PlacedAudio], seconds: float) -> None:
        self.placed, self.seconds = tuple(placed), seconds

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in mixed(self.placed, self.seconds, rate=SAMPLE_RATE, layout="mono"):
            yield block[:, 0]


def mixed(
    placed: Sequence[PlacedAudio], seconds: float, *, rate: int, layout: str
) -> Iterator[np.ndarray]:
    """Yields (n, channels) float32, the sum of all; blocks of BLOCK_SECONDS, the last shorter.

    rate: Hz. layout: a key of CHANNELS.
    """
    info = cache(lambda path: AudioReader(path).info)  # opens the file, which may be in many parts
    parts = [_Part(one, seconds, rate, layout, info) for one in placed]
    for start, stop in _blocks(seconds, rate):
        block = np.zeros((stop - start, CHANNELS[layout]), np.float32)
        for part in parts:
            part.add_to(block, start)
        yield block


def write_soundtrack(
    placed: Sequence[PlacedAudio],
    video: VideoInfo,
    seconds: float,
    target: Path,
    *,
    bed: Bed | None = Bed(),
) -> None:
    """Writes a stereo WAV file: the speeches, and the video's own audio beside them.

    bed: how much of the latter is heard during each speech, from its start to its end, and none by
    default; elsewhere it is as loud as in the video. None: it is not heard at all.
    Peaks that the sum takes over full scale are turned down with what is around them. Raises
    MediaError: the file cannot be written, or would be longer than a WAV file can be.
    """
    _check_length(seconds)
    blocks = mixed(placed, seconds, rate=RATE, layout="stereo")
    if bed is not None and video.audio:
        blocks = _on(blocks, bed, spoken_spans(placed), video, seconds)
    with soundtrack_errors(target), target.open("wb") as output, wave.open(output, "wb") as file:
        file.setnchannels(CHANNELS["stereo"])
        file.setsampwidth(2)
        file.setframerate(RATE)
        for block in limited(blocks):
            file.writeframes(_as_int16(block).tobytes())


def _on(
    blocks: Iterable[np.ndarray], bed: Bed, spans: Spans, video: VideoInfo, seconds: float
) -> Iterator[np.ndarray]:
    """The blocks of the whole, with the video's own audio."""
    whole = PlacedAudio(video.path, 0.0, seconds)
    own = _Part(whole, seconds, RATE, "stereo", lambda _: audio_of(video), stretch=bed.stretch)
    # It is turned down before a speech begins, and up after its end: where two speeches touch, both
    # are faded, and it would be heard between them.
    spans = union(spans, bed.attack, bed.release)
    ramps = bed.attack, bed.release
    for (start, stop), block in zip(_blocks(seconds, RATE), blocks, strict=True):
        beside = np.zeros_like(block)
        own.add_to(beside, start)
        down = _largest_share(spans, start, stop, ramps)
        yield block + beside * (1 - (1 - np.float32(bed.level)) * down)[:, None]


@contextmanager
def soundtrack_errors(target: object) -> Iterator[None]:
    """Raises MediaError in place of an OSError. target: what is written, for the message."""
    try:
        yield
    except OSError as error:
        remedy = "free some space, or name another folder for temporary files in TMPDIR"
        reason = error.strerror or type(error).__name__
        raise MediaError("cannot write the soundtrack", target, f"{reason}: {remedy}") from error


def _check_length(seconds: float) -> None:
    longest = WAV_BYTES / (2 * CHANNELS["stereo"] * RATE)
    if seconds > longest:
        remedy = f"mix at most {longest / 3600:.1f} hours, or give output.soundtrack=FILE"
        raise MediaError("the soundtrack is too long", f"{seconds / 3600:.1f} hours", remedy)


def _blocks(seconds: float, rate: int) -> Iterator[tuple[int, int]]:
    """First sample and the one after the last, of each block."""
    size, length = BLOCK_SECONDS * rate, round(seconds * rate)
    return ((start, min(start + size, length)) for start in range(0, length, size))


class _Part:
    """A placed audio of which one block after the other is added to the whole.

    seconds: length of the whole. info: describes the file, which is open from the part's first
    block to its last one. stretch: factor of the file's length. Its beginning, up to the offset,
    is decoded and dropped: a compressed file has no exact place to seek to, and gaps are filled by
    what was decoded before them.
    """

    def __init__(
        self,
        one: PlacedAudio,
        seconds: float,
        rate: int,
        layout: str,
        info: Callable[[Path], AudioSource],
        *,
        stretch: float = 1.0,
    ) -> None:
        self._stretch = stretch
        self._one, self._rate, self._layout, self._info = one, rate, layout, info
        self._first, self._stop = round(one.start * rate), round(min(one.end, seconds) * rate)
        self._decoded: Iterator[np.ndarray] | None = None

    def add_to(self, block: np.ndarray, start: int) -> None:
        """block: (n, channels) float32 of the whole, from its sample ``start`` on; in order."""
        first = max(self._first, start)
        if first >= min(self._stop, start + len(block)):
            return
        self._decoded = self._decoded or self._opened()
        samples = next(self._decoded, np.zeros((0, 1), np.int16))[first - start :]
        if self._stop <= start + len(block):
            self._decoded = None  # closes the file
        inside = slice(first - start, first - start + len(samples))
        share = _share((self._one.start, self._one.end), first, first + len(samples), self._rate)
        block[inside] += samples / np.float32(FULL_SCALE) * share[:, None]

    def _opened(self) -> Iterator[np.ndarray]:
        """Yields (n, channels) int16 from the block in which the part begins, silent before it."""
        reader, size = AudioReader(self._info(self._one.path)), BLOCK_SECONDS * self._rate
        # FFmpeg would make a mono track 3 dB quieter in stereo: its one channel is repeated.
        layout = "mono" if reader.info.channels == 1 else self._layout
        before = np.zeros((self._first % size, CHANNELS[layout]), np.int16)
        skipped = round(self._one.offset * self._rate)
        pieces = reader.pieces(self._rate, layout)
        if self._stretch != 1:
            pieces = stretched(pieces, self._stretch, rate=self._rate, layout=layout)
        return regrouped(chain([before], _cut(pieces, skipped, self._stop - self._first)), size)


def _cut(pieces: Iterable[np.ndarray], skipped: int, length: int) -> Iterator[np.ndarray]:
    """At most ``length`` samples after the first ``skipped`` ones."""
    for piece in pieces:
        part = piece[skipped:][:length]
        skipped = max(skipped - len(piece), 0)
        length -= len(part)
        if len(part):
            yield part
        if length <= 0:
            return


def _share(
    span: tuple[float, float],
    start: int,
    stop: int,
    rate: int,
    ramps: tuple[float, float] = (FADE, FADE),
) -> np.ndarray:
    """(stop - start,) float32: 1 inside the span [seconds], 0 outside; it rises and falls in so
    many seconds at its ends, inside."""
    seconds = np.arange(start, stop) / rate
    inside = np.minimum((seconds - span[0]) / ramps[0], (span[1] - seconds) / ramps[1])
    return inside.clip(0, 1).astype(np.float32)


def _largest_share(spans: Spans, start: int, stop: int, ramps: tuple[float, float]) -> np.ndarray:
    """(stop - start,) float32: of the spans, for each of these samples of the soundtrack."""
    largest = np.zeros(stop - start, np.float32)
    for span in spans:
        first = max(math.floor(span[0] * RATE), start)
        last = min(math.ceil(span[1] * RATE), stop)
        if first < last:
            inside = largest[first - start : last - start]
            np.maximum(inside, _share(span, first, last, RATE, ramps), out=inside)
    return largest


def _as_int16(block: np.ndarray) -> np.ndarray:
    return (block * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype("<i2")
