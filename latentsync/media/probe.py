"""Reads what is in a video file, and how its frames are oriented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from latentsync.errors import MediaError
from latentsync.media.audio.info import AudioInfo
from latentsync.media.avframe import PROGRESSIVE, field_order
from latentsync.media.color import ColorTags
from latentsync.media.container import (
    has_flag,
    main_video,
    open_source,
    stream_duration,
    stream_start,
)
from latentsync.media.files import check_video
from latentsync.media.hdr import HdrMetadata
from latentsync.media.orientation import EXIF_ORIENTATIONS, Orientation, orientation_of
from latentsync.media.picture.info import PictureInfo, read_info

_MAX_PACKETS = 1000  # read to find a frame; a stream that was cut begins without one
_DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True, slots=True, eq=False)
class VideoInfo:
    """A video file. width, height and sample_aspect_ratio are upright, after rotation.

    average_rate: frames per second. time_base: seconds per tick of Frame.pts.
    start: seconds, PTS of the first frame.
    origin: the container's time stamp [seconds] that is zero everywhere else here; 0 but for
        formats such as MPEG-TS, which start at any time.
    frame_count, duration_seconds: as stated, or computed from each other; 0: unknown.
    field_order: "progressive", "tff" or "bff".
    dropped: the streams that cannot be carried over to an output.
    alpha: whether it has an alpha channel. hdr: of its first frame.
    profile: of its codec, by FFmpeg's name; "": unknown.
    picture: what it is stored as, if it is a still picture, which counts as a video of one frame.
    file_metadata, chapters: of the file; chapters as PyAV has them, in the container's time.
        metadata, disposition: of its video stream.
    """

    path: Path
    format_name: str
    codec: str
    pix_fmt: str
    bit_depth: int
    width: int
    height: int
    orientation: Orientation
    sample_aspect_ratio: Fraction
    average_rate: Fraction
    time_base: Fraction
    origin: Fraction
    frame_count: int
    duration_seconds: float
    start: float
    color: ColorTags
    field_order: str
    audio: tuple[AudioInfo, ...]
    dropped: tuple[str, ...]
    alpha: bool = False
    file_metadata: Mapping[str, str] = field(default_factory=dict)
    chapters: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    disposition: Disposition = field(default_factory=lambda: Disposition(0))
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    profile: str = ""
    picture: PictureInfo | None = None

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the stored frame has to be turned."""
        return self.orientation.rotation

    @property
    def interlaced(self) -> bool:
        return self.field_order != PROGRESSIVE

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) before rotation."""
        return self.orientation.upright_size(self.width, self.height)


def probe(path: Path | str) -> VideoInfo:
    """Reads the headers and the first frame.

    A still picture is described as a video of one frame.
    Raises MediaError: no such file, a folder, empty, not a video, audio only, cut off before its
    index, a codec that cannot be decoded, no frame that can.
    """
    path = Path(path)
    check_video(path)
    picture = read_info(path)
    if picture is not None:
        return _still(path, picture)
    with open_source(path) as container:
        stream = main_video(container, path)
        frame = _first_frame(container, stream, path)
        return _describe(path, container, stream, frame)


def probed(source: Path | str | VideoInfo) -> VideoInfo:
    """The info of the video; not read again if it is given. Raises MediaError as probe does."""
    return source if isinstance(source, VideoInfo) else probe(source)


def _still(path: Path, picture: PictureInfo) -> VideoInfo:
    """One frame of 1/25 s, or as many as there is new speech for."""
    orientation = EXIF_ORIENTATIONS[picture.orientation - 1]
    width, height = orientation.upright_size(picture.width, picture.height)
    return VideoInfo(
        path=path,
        format_name=picture.kind,
        codec=picture.kind,
        pix_fmt="yuv420p",  # of a video of it, which all players are to play
        bit_depth=picture.bits,
        width=width,
        height=height,
        orientation=orientation,
        sample_aspect_ratio=Fraction(1),
        average_rate=_DEFAULT_RATE,
        time_base=1 / _DEFAULT_RATE,
        origin=Fraction(0),
        frame_count=1,
        duration_seconds=0.0,  # it lasts as long as it is wanted
        start=0.0,
        color=_picture_colors(picture),
        field_order=PROGRESSIVE,
        audio=(),
        dropped=(),
        alpha=picture.alpha,
        picture=picture,
    )


def _picture_colors(picture: PictureInfo) -> ColorTags:
    """What a video of it is to state: its own primaries, as far as videos have a name for them."""
    primaries = "smpte432" if "P3" in picture.profile else "bt709"
    return ColorTags("rgb", "pc", primaries, "iec61966-2-1")


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame
) -> VideoInfo:
    orientation = orientation_of(frame)
    width, height = orientation.upright_size(frame.width, frame.height)
    ratio = stream.sample_aspect_ratio or Fraction(1)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or _DEFAULT_RATE
    seconds = stream_duration(stream, container)
    origin = _origin(container)
    return VideoInfo(
        path=path,
        format_name=container.format.name,
        codec=stream.codec.canonical_name,
        pix_fmt=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        width=width,
        height=height,
        orientation=orientation,
        sample_aspect_ratio=1 / ratio if orientation.transpose else ratio,
        average_rate=rate,
        time_base=stream.time_base or 1 / rate,
        origin=origin,
        frame_count=stream.frames or round(seconds * rate),
        duration_seconds=float(seconds),
        start=float(stream_start(stream) - origin),
        color=ColorTags.of(frame),
        field_order=field_order(frame),
        audio=tuple(
            AudioInfo.of(s, container, origin) for s in container.streams.audio if s.codec_context
        ),
        dropped=tuple(_dropped(container, stream)),
        alpha=_has_alpha(stream, frame),
        file_metadata=dict(container.metadata),
        chapters=tuple(container.chapters()),
        metadata=dict(stream.metadata),
        disposition=stream.disposition,
        hdr=HdrMetadata.of(frame),
        profile=stream.profile or "",
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    stream.codec_context.thread_count = 1
    try:
        for packet in islice(container.demux(stream), _MAX_PACKETS):
            for frame in _decoded(packet):
                return frame
    except av.FFmpegError:
        pass  # the file ends in the middle of a packet; reported below
    raise MediaError("no frame of the video can be decoded", path, "try to play it")


def _decoded(packet: av.Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _has_alpha(stream: VideoStream, frame: VideoFrame) -> bool:
    """WebM stores alpha in side data, which the decoders here do not return."""
    in_frame = any(component.is_alpha for component in frame.format.components)
    return in_frame or stream.metadata.get("alpha_mode") == "1"


def _origin(container: InputContainer) -> Fraction:
    if not has_flag(container, Flags.ts_discont):
        return Fraction(0)
    starts = [stream_start(s) for s in (*container.streams.video, *container.streams.audio)]
    return min(starts, default=Fraction(0))


def _dropped(container: InputContainer, video: VideoStream) -> Iterator[str]:
    chapters = bool(container.chapters())
    for stream in container.streams:
        if stream is video or (stream.type == "audio" and stream.codec_context):
            continue
        codec = stream.codec_context.name if stream.codec_context else getattr(stream, "name", None)
        if chapters and codec == "bin_data":  # the track with the names of an MP4's chapters
            continue
        yield f"#{stream.index} {stream.type} {codec or 'of unknown codec'}"
