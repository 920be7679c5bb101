"""The streams of a video file beside its video and its audio: what they are, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from latentsync.media.audio.info import AudioInfo

_TEXT = {
    *("subrip", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "sami", "subviewer"),
    *("jacosub", "mpl2", "pjs", "realtext", "stl", "vplayer"),
}
"""FFmpeg's names of subtitles that are text; others are images, or signals of a broadcast."""
CHAPTER_NAMES = "bin_data"
"""Codec of the track with the names of an MP4's chapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherStream:
    """A stream beside the main video and the audio that can be decoded.

    index: its number in the file. kind: "video", "audio", "subtitle", "data" or "attachment".
    codec: FFmpeg's name; an attachment's own name; "": unknown.
    metadata, disposition: language, title etc., and whether it is shown by default.
    """

    index: int
    kind: str
    codec: str
    metadata: Mapping[str, str]
    disposition: Disposition

    @classmethod
    def of(cls, stream: Stream) -> OtherStream:
        """stream: one of an input."""
        context = stream.codec_context
        codec = stream.codec.canonical_name if context else getattr(stream, "name", None)
        return cls(
            index=stream.index,
            kind=stream.type,
            codec=codec or "",
            metadata=dict(stream.metadata),
            disposition=stream.disposition,
        )

    @property
    def is_cover(self) -> bool:
        """Whether it is one still image: a cover."""
        return self.kind == "video" and bool(self.disposition & Disposition.attached_pic)

    @property
    def is_text(self) -> bool:
        """Whether it is subtitles that can be converted to another kind of text."""
        return self.kind == "subtitle" and self.codec in _TEXT

    @property
    def timecode(self) -> str:
        """What a track that holds nothing but a timecode states: "01:00:00:00"; "": another."""
        return self.metadata.get("timecode", "") if self.kind == "data" and not self.codec else ""

    def __str__(self) -> str:
        if self.timecode:
            return f"#{self.index} timecode {self.timecode}"
        kind = "cover" if self.is_cover else self.kind
        return _named(self.index, kind, self.codec or "of unknown codec", self.metadata)


def other_streams(container: InputContainer, video: VideoStream) -> Iterator[OtherStream]:
    """Yields those beside the given video and the audio that can be decoded."""
    chapters = bool(container.chapters())
    for stream in container.streams:
        if stream is video or (stream.type == "audio" and stream.codec_context):
            continue
        other = OtherStream.of(stream)
        if not (chapters and other.kind == "data" and other.codec == CHAPTER_NAMES):
            yield other


Way = Literal["copied", "converted", "attached", "stated", "lost"]
"""What becomes of another stream. attached: a cover as a file; stated: a timecode as metadata, from
which the muxer makes a track where it has such."""


@dataclass(frozen=True, slots=True)
class OtherPlan:
    """What becomes of another stream in an output."""

    stream: OtherStream
    way: Way


def others_note(
    source: Path,
    target: Path,
    plans: Sequence[OtherPlan],
    text: str,
    replaced: Sequence[AudioInfo] = (),
) -> str:
    """One line that names what is converted and what is lost; "" where all is as it was.

    text: FFmpeg's name of the subtitles that others are converted to. replaced: the audio tracks in
    place of which there is new audio; one alone is not named.
    """
    lost = ", ".join(str(plan.stream) for plan in plans if plan.way == "lost")
    converted = ", ".join(str(plan.stream) for plan in plans if plan.way == "converted")
    parts = [f"not kept: {lost}"] if lost else []
    kept = f"converted to {text} (words, bold and italics are kept)"
    parts += [f"{kept}: {converted}"] if converted else []
    if len(replaced) > 1:
        tracks = ", ".join(_named(a.index, "audio", a.codec, a.metadata) for a in replaced)
        parts.append(f"the new audio is in place of all tracks: {tracks}")
    return f"{source}: in a {target.suffix} file, {'; '.join(parts)}" if parts else ""


def _named(index: int, kind: str, codec: str, metadata: Mapping[str, str]) -> str:
    language = metadata.get("language", "und")
    return f"#{index} {kind} {codec}" + ("" if language == "und" else f" ({language})")
