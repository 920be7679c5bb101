"""Sound from another file in place of the film's: copied where an output holds it, else encoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet

from latentsync.media.audio import AudioReader, SoundInfo, main_sound, open_sound
from latentsync.media.remux import PacketCopy, describe
from latentsync.media.target import NewAudio, audio_codecs

_log = logging.getLogger(__name__)

_BIT_RATE = 192_000
_USUAL_RATE = 48_000  # Hz, where AAC has no such rate as the sound's
_IN_MP4 = {"aac", "mp3", "alac", "ac3", "eac3"}
"""MP4 may hold FLAC, Opus and PCM as well, but then few players play them."""
_LAYOUTS = {"5.0(side)": "5.0", "5.1(side)": "5.1", "6 channels": "5.1"} | {
    name: name for name in ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
}
"""What AAC can say in its header in so many words; anything else is mixed down to two channels."""


class SoundTrack:
    """One audio stream of an output, filled from a file of its own, of which little is held.

    Raises MediaError as AudioReader does, also while its packets are taken.
    """

    def __init__(self, audio: NewAudio, output: OutputContainer) -> None:
        """Before the header is written."""
        reader = AudioReader(audio.path)
        self._end = audio.seconds
        self._input = open_sound(audio.path)
        if _can_be_copied(reader.info.codec, output):
            copy = PacketCopy(self._input, reader.info.origin, output)
            copy.add_stream(reader.info.index)
            self._packets = self._copied(copy)
        else:
            stream = _aac_stream(reader.info, output)
            describe(stream, main_sound(self._input, audio.path))
            self._packets = self._encoded(reader, stream)

    def packets(self) -> Iterator[Packet]:
        """After the header is written: all up to the end, once."""
        return self._packets

    def close(self) -> None:
        self._input.close()

    def _copied(self, copy: PacketCopy) -> Iterator[Packet]:
        for packet in copy.packets():
            if self._end is not None and (packet.pts or 0) * packet.time_base >= self._end:
                return
            yield packet

    def _encoded(self, reader: AudioReader, stream: AudioStream) -> Iterator[Packet]:
        rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout.name
        end = None if self._end is None else round(self._end * rate)
        begin = 0
        for piece in reader.pieces(rate, layout):
            samples = piece if end is None else piece[: end - begin]
            if not len(samples):
                break
            yield from stream.encode(_frame(samples, begin, rate, layout))
            begin += len(samples)
        yield from stream.encode(None)
        if reader.damage:
            _log.warning("%s: %s", reader.info.path, reader.damage)


def _can_be_copied(codec: str, output: OutputContainer) -> bool:
    if codec not in audio_codecs(output.format.name):
        return False
    return codec in _IN_MP4 or output.format.name != "mp4"


def _aac_stream(info: SoundInfo, output: OutputContainer) -> AudioStream:
    rates = Codec("aac", "w").audio_rates or ()
    rate = info.sample_rate if info.sample_rate in rates else _USUAL_RATE
    layout = _LAYOUTS.get(info.layout, "mono" if info.channels == 1 else "stereo")
    stream = output.add_stream("aac", rate=rate, layout=layout, bit_rate=_BIT_RATE)
    assert isinstance(stream, AudioStream)
    said = (info.path, info.codec, info.sample_rate, rate, layout)
    _log.info("%s: %s, %d Hz, is encoded to AAC, %d Hz, %s", *said)
    return stream


def _frame(samples: np.ndarray, begin: int, rate: int, layout: str) -> AudioFrame:
    """samples: (n, channels) int16. begin: number of the first one."""
    packed = np.ascontiguousarray(samples).reshape(1, -1)
    frame = AudioFrame.from_ndarray(packed, format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
    return frame
