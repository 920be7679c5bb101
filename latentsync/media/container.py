"""Opens files with PyAV; a file that is not a video, or incomplete, gets its own message."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from latentsync.errors import MediaError
from latentsync.media.boxes import boxes
from latentsync.media.files import check_video

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Suffix of an output -> FFmpeg muxer. FFmpeg's own choice for ".m4v" supports far fewer audio
codecs than plain mp4."""

METADATA_ERRORS = "surrogateescape"
"""Tags in invalid UTF-8 neither stop a job nor are changed."""

_LISTS = {"hls", "dash", "concat", "sdp", "rtp", "rtsp", "imf"}
"""FFmpeg demuxers that open what the file names: other files of this machine, or of others."""
_OPTIONS = {
    "format_whitelist": ",".join(sorted(av.formats_available - _LISTS)),
    "protocol_whitelist": "file",
}
OPEN_SECONDS = 30.0
"""That opening a file may take: one of empty boxes takes hours. A video of hours takes a second."""
_NOT_VIDEOS = {"tty", "bin", "xbin", "adf", "idf", "image2"}
"""FFmpeg demuxers that make a "video" of a text or a still image."""

_DURATION_UP_FRONT = {"matroska,webm", "avi"}
_ROUNDING = Fraction(1, 4)  # seconds


class DecodeIssues:
    """Counts each kind of issue and stores where it first occurred."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float | None]] = {}

    def note(self, issue: str, second: float | None) -> None:
        """second: where in the video; None before its first frame."""
        count, first = self._counts.get(issue, (0, second))
        self._counts[issue] = (count + 1, first)

    def __str__(self) -> str:
        return "; ".join(_sentence(issue, *where) for issue, where in self._counts.items())


def _sentence(issue: str, count: int, second: float | None) -> str:
    where = "at its start" if second is None else f"at {second:.2f} s"
    return f"{issue} {where}" if count == 1 else f"{issue}, {count} times, first {where}"


def file_url(path: Path) -> str:
    """A name that FFmpeg opens as a file, even "a:b.mp4" or "-x.mp4"."""
    return f"file:{os.fspath(path)}"


def open_input(path: Path) -> InputContainer:
    """Opens this file, and no other one that it names. Raises av.ArgumentError where it is a list
    of files, av.FFmpegError and OSError."""
    return av.open(
        file_url(path),
        metadata_errors=METADATA_ERRORS,
        options=_OPTIONS,
        timeout=(OPEN_SECONDS, None),
    )


def open_source(path: Path) -> InputContainer:
    """Open a video file for reading.

    Raises MediaError: not there, not a regular file, empty, cut off before its index, not a video.
    """
    check_video(path)
    try:
        container = open_input(path)
    except (av.FFmpegError, OSError) as error:
        raise _not_openable(path, error) from error
    if container.format.name in _NOT_VIDEOS or container.format.name.endswith("_pipe"):
        container.close()
        raise MediaError("not a video", path, "give a video file such as .mp4, .mov or .mkv")
    return container


def main_video(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover image. Raises MediaError: none, not decodable."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        raise MediaError(
            "no video in the file",
            path,
            "it holds audio or other data only; give a file with a video stream",
        )
    if videos[0].codec_context is None:
        raise MediaError(
            "the video's codec cannot be decoded", path, "convert it to H.264, for example"
        )
    return videos[0]


def has_flag(container: InputContainer | OutputContainer, flag: Flags) -> bool:
    """Whether the container's format has that flag."""
    return bool(container.format.flags & cast(int, flag.value))


def stream_start(stream: Stream) -> Fraction:
    """In the container's time [seconds]; 0 if not stated."""
    return (stream.start_time or 0) * (stream.time_base or Fraction(0))


def stream_duration(stream: Stream, container: InputContainer) -> Fraction:
    """Seconds, as stated by the stream, or by Matroska's statistics tag, or by the container."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    tagged = _tagged_duration(stream.metadata.get("DURATION", ""))
    return tagged or Fraction(container.duration or 0, av.time_base)


def missing_end(container: InputContainer, stream: VideoStream, end: Fraction) -> str:
    """What the file states beyond the end [seconds] that was reached; "" if nothing is missing.

    MP4 lists every frame with its place in the file, which is exact. Matroska and AVI state their
    duration up front; a shortfall that rounding explains does not count. Others state nothing.
    """
    if "mp4" in container.format.name:
        lost = sum(1 for entry in stream.index_entries if entry.pos + entry.size > container.size)
        return f"{lost} frames of its index lie beyond its last byte" if lost else ""
    if container.format.name not in _DURATION_UP_FRONT or not container.duration:
        return ""
    stated = Fraction(container.duration, av.time_base)
    return f"its header states {float(stated):.2f} s" if stated - end > _ROUNDING else ""


def _tagged_duration(text: str) -> Fraction:
    """ "HH:MM:SS.fraction" -> seconds; 0 for anything else."""
    try:
        hours, minutes, seconds = (Fraction(part) for part in text.strip().split(":"))
    except ValueError:
        return Fraction(0)
    return hours * 3600 + minutes * 60 + seconds


def _not_openable(path: Path, error: Exception) -> MediaError:
    if isinstance(error, PermissionError):
        return MediaError("cannot open the video", path, "change its permissions")
    if _lacks_moov(path):
        return MediaError(
            "the video's index (moov) is missing",
            path,
            "its recording or copy was cut off: copy it again, or repair it",
        )
    return MediaError("not a video, or damaged at its start", path, "try to play it")


def _lacks_moov(path: Path) -> bool:
    """Whether the file consists of MP4 boxes, without an index."""
    with path.open("rb") as file:
        kinds = [box.kind for box in boxes(file)]
    return bool(kinds) and kinds[0] in (b"ftyp", b"mdat", b"wide", b"free") and b"moov" not in kinds
