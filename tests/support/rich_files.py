"""Small videos with everything beside frames that a container can hold."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from latentsync.media.boxes import append_user_box
from latentsync.media.marks import manifests, xmp
from tests.support.media_factory import Tone, make_video

WORDS = "hello"
WORDS_AT = Fraction(1, 5)  # seconds
TIMECODE = "01:00:00:00"
OWN_KEY = "com.example.take"
TITLE = "A day"
CHAPTERS = [("one", 0, 1), ("two", 1, 2)]
XMP = xmp.amended(None, xmp.ENHANCED)

_AUDIO = [
    Tone(0.5, 440, metadata={"language": "eng"}),
    Tone(0.5, 880, metadata={"language": "fra"}),
]
_SECONDS = Fraction(1, 1000)
_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n[Events]\n"  # encoders want one


def rich_mkv(path: Path, words: str = WORDS) -> Path:
    """SubRip subtitles, a font, a cover, chapters, two audio tracks, a title and a key."""
    tags = {"title": TITLE, OWN_KEY: "7"}
    parts = make_video(
        path.with_suffix(".parts.mkv"), audio=_AUDIO, metadata=tags, chapters=CHAPTERS
    )

    def add(output: OutputContainer) -> list[Packet]:
        output.add_attachment("font.ttf", "application/x-truetype-font", bytes(4000))
        output.add_attachment("cover.png", "image/png", _png())
        return [_words(output, "subrip", words.encode())]

    return _with(parts, path, add)


def rich_mov(path: Path) -> Path:
    """Subtitles in MOV text, a timecode, an XMP packet and a box of C2PA's type."""
    parts = make_video(path.with_suffix(".parts.mov"), audio=_AUDIO[:1], metadata={"title": TITLE})

    def add(output: OutputContainer) -> list[Packet]:
        output.streams.video[0].metadata["timecode"] = TIMECODE
        return [_words(output, "mov_text", len(WORDS).to_bytes(2, "big") + WORDS.encode())]

    _with(parts, path, add)
    append_user_box(path, xmp.USER_TYPE, XMP)
    append_user_box(path, manifests.USER_TYPE, b"a manifest")
    return path


def _with(parts: Path, path: Path, add: Callable[[OutputContainer], list[Packet]]) -> Path:
    """The parts with what add() makes before the header is written, and its packets."""
    with av.open(str(parts)) as source, av.open(str(path), "w") as output:
        output.metadata.update(source.metadata)
        output.set_chapters(source.chapters())
        copies = [_copied(stream, output) for stream in source.streams if stream.type != "data"]
        first = add(output)
        output.start_encoding()
        for packet in first:
            packet.pts = packet.dts = round(WORDS_AT / packet.time_base)
            output.mux_one(packet)
        _copy_packets(source, copies, output)
    parts.unlink()
    return path


def _copied(stream: Stream, output: OutputContainer) -> Stream:
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    if stream.index < 2:  # the first video and the first audio
        copy.disposition = Disposition.default
    return copy


def _copy_packets(source: InputContainer, copies: list[Stream], output: OutputContainer) -> None:
    for packet in source.demux():
        if packet.dts is not None and packet.stream_index < len(copies):
            packet.stream = copies[packet.stream_index]
            output.mux(packet)


def _words(output: OutputContainer, codec: str, payload: bytes) -> Packet:
    stream = output.add_stream(codec)
    stream.codec_context.subtitle_header = _HEADER
    stream.metadata["language"] = "fra"
    stream.time_base = _SECONDS
    packet = Packet(payload)
    packet.stream, packet.time_base, packet.duration = stream, _SECONDS, 400
    return packet


def _png() -> bytes:
    encoder = av.CodecContext.create("png", "w")
    encoder.width = encoder.height = 16
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 25)
    frame = av.VideoFrame(16, 16, "rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
