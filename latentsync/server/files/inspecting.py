"""What a file is that somebody gives: found by opening it, whatever its name says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from latentsync.errors import MediaError
from latentsync.media.audio.info import AudioSource
from latentsync.media.audio.source import main_audio, open_audio
from latentsync.media.container import main_video, open_source
from latentsync.media.picture.info import read_info
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.proxy import plays_in_browser
from latentsync.server.errors import ApiError
from latentsync.server.settings import Limits
from latentsync.server.views import UploadView

VIDEO, PICTURE, AUDIO = "video", "picture", "audio"
_MATROSKA = "matroska,webm"
_TEXT = 4096  # bytes in which a file that is no text has one that no text has
_CONTROLS = bytes({*range(32)} - {*b"\t\n\v\f\r\x1b"})
_SUFFIXES = {
    "mov,mp4,m4a,3gp,3g2,mj2": ".mp4",
    _MATROSKA: ".mkv",
    "mpegts": ".ts",
    "jpeg": ".jpg",
    "tiff": ".tif",
}
"""Name of a format -> suffix; others are their own."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file is. suffix: that fits what it holds."""

    view: UploadView
    suffix: str


def inspect(path: Path, upload_id: str, name: str, limits: Limits) -> Found:
    """name: to be shown. Decodes a frame, and takes some ten milliseconds.

    Raises ApiError (422): no video, picture or audio that can be read, longer than limits.seconds,
    frames of more than limits.pixels.
    """
    try:
        if _is_text(path):
            remedy = "it is a text; give a video, a picture or an audio file"
            raise MediaError("not a video", path, remedy)
        found = _found(path, limits)
    except MediaError as error:
        message = f"{error.what}: {name}; {_without(error.remedy, path, name)}"
        raise ApiError(422, "unreadable", message, "file") from error
    except OSError as error:
        message = f"the file cannot be read: {name}; {error.strerror}"
        raise ApiError(422, "unreadable", message, "file") from error
    info, suffix = found
    view = _described(info, suffix, upload_id, name)
    if view.seconds > limits.seconds:
        message = f"{name} is {view.seconds:.0f} s long; at most {limits.seconds:g} s are processed"
        raise ApiError(422, "too_long", message, "file")
    return Found(view, suffix)


def _found(path: Path, limits: Limits) -> tuple[VideoInfo | AudioSource, str]:
    """With its suffix. The dimensions are checked before a frame is decoded, as that takes their
    memory."""
    picture = read_info(path)
    if picture is not None:
        _check_pixels(picture.width, picture.height, limits)
        return probe(path), _suffix(path, picture.kind)
    try:
        with open_source(path) as container:
            stream = main_video(container, path)
            _check_pixels(stream.width, stream.height, limits)
        info = probe(path)
        return info, _suffix(path, info.format_name)
    except MediaError as error:
        return _audio_in(path, error)


def _audio_in(path: Path, error: MediaError) -> tuple[AudioSource, str]:
    """Raises the error of the video where there is no audio, either."""
    try:
        with open_audio(path) as container:
            return main_audio(container, path), _suffix(path, container.format.name)
    except MediaError:
        raise error from None


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        message = (
            f"its frames have {width} x {height} pixels; at most {limits.pixels} are processed: "
            "scale it down"
        )
        raise ApiError(422, "too_many_pixels", message, "file")


def _described(info: VideoInfo | AudioSource, suffix: str, upload_id: str, name: str) -> UploadView:
    seconds, size = round(info.duration_seconds, 3), info.path.stat().st_size
    if isinstance(info, AudioSource):
        return UploadView(upload_id, name, AUDIO, size, seconds, codec=info.codec, has_audio=True)
    is_picture = info.picture is not None
    return UploadView(
        id=upload_id,
        name=name,
        kind=PICTURE if is_picture else VIDEO,
        bytes=size,
        seconds=seconds,
        width=info.width,
        height=info.height,
        fps=None if is_picture else round(float(info.average_rate), 3),
        codec=info.codec,
        has_audio=bool(info.audio),
        plays=plays_in_browser(replace(info, path=info.path.with_suffix(suffix))),
    )


def _suffix(path: Path, format_name: str) -> str:
    if format_name == _MATROSKA and _is_webm(path):
        return ".webm"
    return _SUFFIXES.get(format_name) or f".{format_name.split(',')[0]}"


def _is_webm(path: Path) -> bool:
    """Its first element says of which kind it is."""
    with path.open("rb") as file:
        return b"webm" in file.read(64)


def _is_text(path: Path) -> bool:
    """A list of other files is one: FFmpeg would open these."""
    with path.open("rb") as file:
        beginning = file.read(_TEXT)
    return bool(beginning) and beginning.translate(None, _CONTROLS) == beginning


def _without(text: str, path: Path, name: str) -> str:
    """No path of the server is shown."""
    return text.replace(str(path), name)
