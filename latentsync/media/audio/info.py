"""The description of an audio stream, read when its file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from latentsync.media.container import stream_duration, stream_start


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """One audio stream. index: its number in the file.

    layout: FFmpeg's name of its channels. sample_format: FFmpeg's name of the decoder's output.
    start: seconds from the video's origin to its first sample.
    metadata, disposition: language, title etc., and whether it is the default track.
    """

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str
    sample_format: str
    duration_seconds: float
    start: float
    metadata: Mapping[str, str]
    disposition: Disposition

    @classmethod
    def of(cls, stream: AudioStream, container: InputContainer, origin: Fraction) -> AudioInfo:
        """stream: one that can be decoded. origin: see AudioSource."""
        context = stream.codec_context
        return AudioInfo(
            index=stream.index,
            codec=stream.codec.canonical_name,
            sample_rate=context.sample_rate,
            channels=context.channels,
            layout=context.layout.name,
            sample_format=context.format.name if context.format else "",
            duration_seconds=float(stream_duration(stream, container)),
            start=float(stream_start(stream) - origin),
            metadata=dict(stream.metadata),
            disposition=stream.disposition,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSource(AudioInfo):
    """An audio stream and its file.

    origin: the container's time stamp [seconds] that is zero everywhere else.
    """

    path: Path
    origin: Fraction

    @classmethod
    def found(cls, audio: AudioInfo, path: Path, origin: Fraction) -> AudioSource:
        """The stream, in that file."""
        known = {field.name: getattr(audio, field.name) for field in fields(AudioInfo)}
        return cls(**known, path=path, origin=origin)
