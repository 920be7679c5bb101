"""The file that audio is read from: opened, and its tracks described."""

from __future__ import annotations

import stat
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags

from latentsync.errors import MediaError
from latentsync.media.audio.info import AudioInfo, SoundInfo
from latentsync.media.container import METADATA_ERRORS, file_url, has_flag, stream_start
from latentsync.media.probe import VideoInfo

WITHOUT_CLOCK = {"mp3", "aac"}
"""Formats that are frames and nothing else. Their audio begins at once, whatever a decoder's delay
makes of it; their duration is a guess."""
_LISTS = {"hls", "dash", "concat", "sdp"}
"""FFmpeg demuxers that follow a list of other files."""


def open_sound(path: Path) -> InputContainer:
    """Open a file for its sound. Raises MediaError: not there, no file, empty, no sound file."""
    try:
        _check_file(path)
        container = av.open(file_url(path), metadata_errors=METADATA_ERRORS)
    except OSError as error:
        reason = f"{error.strerror}; check the path and its permissions"
        raise MediaError("cannot open the sound file", path, reason) from error
    except av.FFmpegError as error:
        what = "no sound file, or damaged at its very start"
        raise MediaError(what, path, "try to play it") from error
    if container.format.name in _LISTS:
        container.close()
        raise MediaError("a list of other files, not sound", path, "give a file such as .wav")
    return container


def _check_file(path: Path) -> None:
    mode, size = path.stat().st_mode, path.stat().st_size
    if stat.S_ISDIR(mode):
        raise MediaError("the sound file is a folder", path, "name a file in it")
    if not stat.S_ISREG(mode):
        raise MediaError("the sound is no regular file", path, "save it to a file first")
    if size == 0:
        raise MediaError("the sound file is empty (0 bytes)", path, "copy or record it again")


def main_sound(container: InputContainer, path: Path) -> SoundInfo:
    """The first audio track. Raises MediaError: none, not decodable."""
    if not container.streams.audio:
        raise _no_sound(path)
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise MediaError("the sound's codec cannot be decoded", path, "convert it to .wav")
    origin = _origin(container)
    return SoundInfo.found(AudioInfo.of(stream, container, origin), path, origin)


def sound_of(video: VideoInfo, number: int = 0) -> SoundInfo:
    """One of the video's audio tracks, by its place among them. Raises MediaError: none."""
    if not video.audio:
        raise _no_sound(video.path)
    return SoundInfo.found(video.audio[number], video.path, video.origin)


def sound_stream(container: InputContainer, sound: SoundInfo) -> AudioStream:
    """The stream that was described. Raises MediaError: the file has been changed since."""
    streams = container.streams
    stream = streams[sound.index] if sound.index < len(streams) else None
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        remedy = "do not change the file while it is worked on"
        raise MediaError("its sound is not there any more", sound.path, remedy)
    return stream


def _no_sound(path: Path) -> MediaError:
    return MediaError("no sound in the file", path, "give a file with speech in it")


def _origin(container: InputContainer) -> Fraction:
    """0, except for formats whose clock starts anywhere: there, the first thing to see or hear."""
    if not has_flag(container, Flags.ts_discont) and container.format.name not in WITHOUT_CLOCK:
        return Fraction(0)
    return min(stream_start(s) for s in (*container.streams.video, *container.streams.audio))
