"""Subtitles that are text, converted to the kind that another container holds."""

from __future__ import annotations

import re
from fractions import Fraction

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

KINDS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""FFmpeg muxer -> the encoder of the text that its files hold and players show."""

_MILLISECOND = Fraction(1, 1000)
_BARE_AND = re.compile(rb"&(?!(?:amp|lt|gt|nbsp|lrm|rlm);)")


class SubtitleConversion:
    """Packets of one text stream, decoded and encoded again. Line breaks, bold, italics and
    underline are kept; colours, fonts and places on the screen only where both kinds have them."""

    def __init__(self, source: SubtitleStream, output: OutputContainer) -> None:
        """Before the header is written. Raises ValueError, av.FFmpegError: not possible."""
        self._decoder = source.codec_context
        if not self._decoder.is_open:
            self._decoder.open()
        encoder = KINDS[output.format.name]
        stream = output.add_stream(encoder)
        assert isinstance(stream, SubtitleStream)
        self.stream: Stream = stream
        self._encoder = stream.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self._encoder.time_base = _MILLISECOND
        self._escapes = encoder == "webvtt"  # whose encoder of FFmpeg's leaves "&" as it is

    def converted(self, packet: Packet) -> Packet | None:
        """The same text at the same time; None: it shows nothing, or cannot be decoded."""
        try:
            shown = self._decoder.decode2(packet)
            if shown is None or not len(shown):
                return None
            payload = bytes(self._encoder.encode_subtitle(shown))
        except av.FFmpegError:
            return None
        if self._escapes:
            payload = _BARE_AND.sub(b"&amp;", payload)
        made = Packet(payload)
        made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
        made.duration, made.is_keyframe = packet.duration or 0, True
        made.stream = packet.stream
        return made
