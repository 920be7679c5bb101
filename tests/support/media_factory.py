"""Small videos for tests, made with PyAV: with any property that a user's file may have."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

_EXACT = 0x4 | 0x40000 | 0x4000  # FFmpeg's SWS_BICUBIC, SWS_ACCURATE_RND, SWS_FULL_CHR_H_INP
_PACKET = 1024  # samples


@dataclass(frozen=True)
class Tone:
    """One audio stream. start: seconds of its first sample."""

    seconds: float = 1.0
    hertz: float = 440.0
    rate: int = 44100
    codec: str = "aac"
    start: float = 0.0
    metadata: dict[str, str] = field(default_factory=dict)


def moving_pattern(width: int = 96, height: int = 64, count: int = 10) -> Iterator[np.ndarray]:
    """(height, width, 3) uint8 RGB: smooth colours that drift, a white square that moves."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for n in range(count):
        waves = [np.sin((x * (1 + c) + y * (2 - c) + 6 * n) / 30 + c) for c in range(3)]
        pixels = np.stack([128 + 80 * wave for wave in waves], axis=2).astype(np.uint8)
        left = (4 * n) % max(1, width - 8)
        pixels[4:12, left : left + 8] = 235
        yield pixels


def flat_patches(colors: Sequence[tuple[int, int, int]], *, side: int = 32) -> np.ndarray:
    """(side, side * len(colors), 3) uint8 RGB: one square for each colour, side by side."""
    row = np.array(colors, np.uint8).repeat(side, axis=0)
    return np.broadcast_to(row, (side, *row.shape)).copy()


def make_video(
    path: Path,
    frames: Iterable[np.ndarray] | None = None,
    *,
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    colors: dict[str, int] | None = None,
    matrix: int = Colorspace.ITU601,
    full_range: bool = False,
    fields: str | None = None,
    pixel_shape: Fraction | None = None,
    turn: tuple[int, int, int, int] | None = None,
    audio: Sequence[Tone] = (),
    metadata: dict[str, str] | None = None,
    chapters: Sequence[tuple[str, int, int]] = (),
    container_format: str | None = None,
    muxer_options: dict[str, str] | None = None,
) -> Path:
    """Writes a video and returns its path.

    pts: in time_base (one frame, if left out). options: the encoder's; lossless H.264 if left out.
    colors: PyAV's colorspace, color_range, color_primaries, color_trc; untagged if left out.
    matrix, full_range: of the actual conversion. fields: "tff" or "bff".
    turn: (a, b, c, d) of an MP4's display matrix. chapters: (title, start, end) in seconds.
    """
    arrays = list(moving_pattern() if frames is None else frames)
    base = time_base or 1 / Fraction(rate)
    with av.open(f"file:{path}", "w", container_format, container_options=muxer_options) as output:
        output.metadata.update(metadata or {})
        output.set_chapters([_chapter(n, *chapter) for n, chapter in enumerate(chapters)])
        stream = output.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        _configure(stream, arrays[0], pix_fmt, base, options)
        for name, value in (colors or {}).items():
            setattr(stream.codec_context, name, value)
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        if fields:
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        tones = [(tone, _add_audio(output, tone)) for tone in audio]
        mark = _field_marker(stream, fields, base) if fields else None
        for index, pixels in enumerate(arrays):
            frame = _converted(pixels, pix_fmt, matrix, full_range)
            frame.pts, frame.time_base = (pts[index] if pts else index), base
            if mark:
                mark.push(frame)
                frame = mark.pull()
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        for tone, audio_stream in tones:
            _write_tone(output, audio_stream, tone)
    if turn:
        _turn(path, turn)
    return path


def make_audio(path: Path, tone: Tone | None = None) -> Path:
    """A file with one audio stream and nothing else."""
    tone = tone or Tone()
    with av.open(f"file:{path}", "w") as output:
        _write_tone(output, _add_audio(output, tone), tone)
    return path


def cut(path: Path, share: float) -> Path:
    """Keeps only that share of the file's bytes, as in an incomplete copy."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def corrupt(path: Path, share: float, *, length: int = 2000) -> Path:
    """Overwrites some bytes from that share of the file on."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * share)
    data[start : start + length] = b"\xff" * len(data[start : start + length])
    path.write_bytes(data)
    return path


def pts_of(path: Path) -> list[Fraction]:
    """Seconds of every frame, as a player sees them."""
    with av.open(f"file:{path}") as container:
        return [p.pts * p.time_base for p in container.decode(video=0) if p.pts is not None]


def audio_packets(path: Path, stream: int = 0) -> list[tuple[Fraction, bytes]]:
    """(seconds, payload) of every packet of one audio stream."""
    with av.open(f"file:{path}") as container:
        packets = [p for p in container.demux(audio=stream) if p.pts is not None]
        return [(p.pts * p.time_base, bytes(p)) for p in packets]


def _configure(
    stream: VideoStream,
    first: np.ndarray,
    pix_fmt: str,
    base: Fraction,
    options: dict[str, str] | None,
) -> None:
    lossless = {"qp": "0", "preset": "ultrafast"} if stream.name == "libx264" else {}
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = pix_fmt
    stream.codec_context.time_base = stream.time_base = base
    stream.codec_context.thread_count = 1
    stream.codec_context.options = lossless if options is None else options


def _converted(pixels: np.ndarray, pix_fmt: str, matrix: int, full_range: bool) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame.colorspace = matrix  # some PyAV versions read BT.2020 from here only
    return frame.reformat(
        format=pix_fmt,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
        interpolation=_EXACT,
    )


def _field_marker(stream: VideoStream, fields: str, base: Fraction) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=stream.width, height=stream.height, format=stream.format, time_base=base
    )
    marker, sink = graph.add("setfield", fields), graph.add("buffersink")
    source.link_to(marker)
    marker.link_to(sink)
    graph.configure()
    return graph


def _chapter(number: int, title: str, start: int, end: int) -> dict[str, object]:
    times = {"start": start, "end": end, "time_base": Fraction(1)}
    return {"id": number, "metadata": {"title": title}, **times}


def _add_audio(output: OutputContainer, tone: Tone) -> AudioStream:
    options = {"strict": "-2"}  # FFmpeg's own Vorbis is experimental
    stream = output.add_stream(tone.codec, rate=tone.rate, options=options)
    assert isinstance(stream, AudioStream)
    stream.metadata.update(tone.metadata)
    return stream


def _write_tone(output: OutputContainer, stream: AudioStream, tone: Tone) -> None:
    phase = np.arange(round(tone.seconds * tone.rate)) * (2 * np.pi * tone.hertz / tone.rate)
    wave = np.repeat((0.3 * np.sin(phase) * 32767).astype(np.int16), 2)  # two equal channels
    resampler = av.AudioResampler(stream.format.name, stream.layout.name, tone.rate)
    delay = round(tone.start * tone.rate)
    for start in range(0, len(wave), 2 * _PACKET):
        piece = np.ascontiguousarray(wave[None, start : start + 2 * _PACKET])
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = tone.rate, delay + start // 2
        for ready in resampler.resample(frame):
            output.mux(stream.encode(ready))
    output.mux(stream.encode(None))


def _turn(path: Path, turn: tuple[int, int, int, int]) -> None:
    """Writes the matrix into the first track header; not every PyAV version can."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in turn)
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    at = data.index(b"tkhd") + 4 + 40  # version 0: flags to volume take 40 bytes
    data[at : at + 36] = matrix
    path.write_bytes(data)
