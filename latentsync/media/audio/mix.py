"""Places speeches in time and mixes them, a few seconds in memory at a time."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from latentsync.media.audio.assembler import regrouped
from latentsync.media.audio.reader import SAMPLE_RATE, AudioReader
from latentsync.media.probe import VideoInfo

BLOCK_SECONDS = 10
FADE = 0.01
"""Seconds over which a speech, or the video's own audio, is faded in and out where it is cut."""
RATE = 48000
CHANNELS = {"mono": 1, "stereo": 2}
FULL_SCALE = 32768


@dataclass(frozen=True, slots=True)
class PlacedAudio:
    """A part of an audio file: what begins at its second ``offset`` is heard from start to end
    [seconds of the output]."""

    path: Path
    start: float
    end: float
    offset: float = 0.0


def audio_seconds(path: Path) -> float:
    """Length of the first audio track, decoded. Raises MediaError as AudioReader does."""
    return sum(len(block) for block in AudioReader(path)) / SAMPLE_RATE


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
    sources = [_placed_blocks(one, seconds, rate, layout) for one in placed]
    for start, stop in _blocks(seconds, rate):
        block = np.zeros((stop - start, CHANNELS[layout]), np.float32)
        for source in sources:
            block += next(source)
        yield block


def write_soundtrack(
    placed: Sequence[PlacedAudio], video: VideoInfo, seconds: float, target: Path
) -> None:
    """Writes a stereo WAV file: the speeches, and the video's own audio where there is none.

    Peaks that the sum of overlapping speeches takes over full scale are clipped.
    """
    whole = PlacedAudio(video.path, 0.0, seconds)
    own: Iterator[np.ndarray] | None = None
    if video.audio:
        own = _placed_blocks(whole, seconds, RATE, "stereo", source=video)
    with wave.open(str(target), "wb") as file:
        file.setnchannels(CHANNELS["stereo"])
        file.setsampwidth(2)
        file.setframerate(RATE)
        speeches = mixed(placed, seconds, rate=RATE, layout="stereo")
        for (start, stop), block in zip(_blocks(seconds, RATE), speeches, strict=True):
            if own is not None:
                block += next(own) * (1 - _any_speech(placed, start, stop))[:, None]
            file.writeframes(_as_int16(block).tobytes())


def _blocks(seconds: float, rate: int) -> Iterator[tuple[int, int]]:
    """First sample and the one after the last, of each block."""
    size, length = BLOCK_SECONDS * rate, round(seconds * rate)
    return ((start, min(start + size, length)) for start in range(0, length, size))


def _placed_blocks(
    one: PlacedAudio, seconds: float, rate: int, layout: str, *, source: VideoInfo | None = None
) -> Iterator[np.ndarray]:
    """Yields the part as blocks of the whole, silent elsewhere. source: the file's info."""
    first = round(one.start * rate)
    left = max(round(min(one.end, seconds) * rate) - first, 0)
    reader = AudioReader(source or one.path)
    # FFmpeg would make a mono track 3 dB quieter in stereo: its one channel is repeated instead.
    layout = "mono" if reader.info.channels == 1 else layout
    silence = np.zeros((BLOCK_SECONDS * rate, CHANNELS[layout]), np.int16)
    before = (silence[: min(len(silence), first - at)] for at in range(0, first, len(silence)))
    spoken = _cut(reader.pieces(rate, layout), round(one.offset * rate), left)
    blocks = regrouped(chain(before, spoken), len(silence))
    for start, stop in _blocks(seconds, rate):
        block = np.zeros((stop - start, silence.shape[1]), np.float32)
        read = next(blocks, silence[:0])[: len(block)]
        block[: len(read)] = read / np.float32(FULL_SCALE)
        yield block * _share(one, start, stop, rate)[:, None]


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


def _share(one: PlacedAudio, start: int, stop: int, rate: int) -> np.ndarray:
    """(stop - start,) float32: 1 inside the part, faded at its ends, 0 outside."""
    seconds = np.arange(start, stop) / rate
    inside = np.minimum(seconds - one.start, one.end - seconds) / FADE
    return inside.clip(0, 1).astype(np.float32)


def _any_speech(placed: Sequence[PlacedAudio], start: int, stop: int) -> np.ndarray:
    """(stop - start,) float32: the largest share of the speeches, samples of the soundtrack."""
    shares = [_share(one, start, stop, RATE) for one in placed]
    return np.max(shares, axis=0) if shares else np.zeros(stop - start, np.float32)


def _as_int16(block: np.ndarray) -> np.ndarray:
    return (block * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype("<i2")
