"""An audio stream of an output: copied or encoded, and the packets of an encoded one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet

from latentsync.media.audio.assembler import SampleFormat
from latentsync.media.audio.info import AudioSource
from latentsync.media.audio.reader import AudioReader
from latentsync.media.remux import describe

_BIT_RATE = 192_000
_BIT_RATE_EACH = 64_000  # per channel, where there are more than three
_FALLBACK_RATE = 48_000  # Hz, where the encoder does not support the audio's rate
_LAYOUTS = {"5.0(side)": "5.0", "5.1(side)": "5.1", "6 channels": "5.1"} | {
    name: name for name in ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
}
"""Layouts that AAC has a code for; any other is mixed down to stereo."""
_NOT_IN = {"alac": {"7.1": "5.1"}, "libopus": {"4.0": "stereo"}}


@dataclass(frozen=True, slots=True, eq=False)
class AudioTrackPlan:
    """One audio stream of an output. encoder: "aac", "alac", "libopus"; None: it is copied.

    reason: why it is encoded; "" where it is copied.
    """

    audio: AudioSource
    encoder: str | None = None
    reason: str = ""

    @property
    def rate(self) -> int:
        """Hz, of the encoded stream."""
        rates = Codec(self.encoder, "w").audio_rates if self.encoder else None
        usable = not rates or self.audio.sample_rate in rates
        return self.audio.sample_rate if usable else _FALLBACK_RATE

    @property
    def layout(self) -> str:
        """FFmpeg's name of the encoded stream's channels."""
        layout = _LAYOUTS.get(self.audio.layout, "mono" if self.audio.channels == 1 else "stereo")
        return _NOT_IN.get(self.encoder or "", {}).get(layout, layout)

    @property
    def sample_format(self) -> SampleFormat:
        """The encoder's input: 32 bits only if source and codec have more than 16."""
        deep = self.audio.sample_format.startswith(("s32", "s64"))
        deep |= self.audio.codec.startswith("pcm_f")
        return "s32" if deep and self.encoder == "alac" else "s16"

    @property
    def note(self) -> str:
        """One sentence on how it is encoded and why; "" if it is copied."""
        if self.encoder is None:
            return ""
        name = self.encoder.removeprefix("lib").upper()
        old, new = self.audio, f"{name}, {self.rate} Hz, {self.layout}"
        track = f"audio #{old.index}, {old.codec}, {old.sample_rate} Hz"
        return f"{old.path}: {track}, is encoded to {new}: {self.reason}"


class EncodedTrack:
    """One audio stream of an output, encoded while its file is read: little is held in memory.

    Raises MediaError as AudioReader does, also while its packets are iterated.
    """

    def __init__(self, plan: AudioTrackPlan, output: OutputContainer, end: float | None) -> None:
        """Before the header is written. plan: with an encoder. end: seconds; None: all of it."""
        self._reader = AudioReader(plan.audio)
        self._plan, self._end = plan, end
        self._stream = _added(plan, output)

    @property
    def path(self) -> Path:
        return self._plan.audio.path

    @property
    def issues(self) -> str | None:
        """What could not be read so far, and where; None: all was read."""
        return self._reader.issues

    def packets(self) -> Iterator[Packet]:
        """All packets up to the end, once; after the header is written."""
        plan = self._plan
        rate, layout, sample_format = plan.rate, plan.layout, plan.sample_format
        end = None if self._end is None else round(self._end * rate)
        begin = 0
        for piece in self._reader.pieces(rate, layout, sample_format):
            samples = piece if end is None else piece[: end - begin]
            if not len(samples):
                break
            frame = AudioFrame.from_ndarray(_packed(samples), format=sample_format, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            yield from self._stream.encode(frame)
            begin += len(samples)
        yield from self._stream.encode(None)


def _added(plan: AudioTrackPlan, output: OutputContainer) -> AudioStream:
    assert plan.encoder is not None
    stream = output.add_stream(plan.encoder, rate=plan.rate, layout=plan.layout)
    assert isinstance(stream, AudioStream)
    if plan.encoder != "alac":
        channels = stream.codec_context.channels
        stream.codec_context.bit_rate = max(_BIT_RATE, channels * _BIT_RATE_EACH)
    if plan.sample_format == "s32":
        stream.codec_context.format = "s32p"
    describe(stream, plan.audio)
    return stream


def _packed(samples: np.ndarray) -> np.ndarray:
    """(n, channels) -> (1, n * channels), in one piece."""
    return np.ascontiguousarray(samples).reshape(1, -1)
