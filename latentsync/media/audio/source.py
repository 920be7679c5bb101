"""Opens the file that audio is read from, and describes its tracks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags

from latentsync.errors import MediaError
from latentsync.media.audio.info import AudioInfo, AudioSource
from latentsync.media.container import (
    has_flag,
    open_input,
    stream_start,
)
from latentsync.media.files import check_file
from latentsync.media.probe import VideoInfo

WITHOUT_CLOCK = {"mp3", "aac"}
"""Raw formats without a container. Their audio begins at zero, whatever the decoder's delay; their
duration is a guess."""


def open_audio(path: Path) -> InputContainer:
    """Open a file for its audio. Raises MediaError: not there, not a file, empty, not audio."""
    try:
        check_file(path, "audio file")
        return open_input(path)
    except av.ArgumentError as error:
        remedy = "give a file such as .wav"
        raise MediaError("a list of other files, not audio", path, remedy) from error
    except OSError as error:
        reason = f"{error.strerror}; check the path and its permissions"
        raise MediaError("cannot open the audio file", path, reason) from error
    except av.FFmpegError as error:
        what = "not an audio file, or damaged at its start"
        raise MediaError(what, path, "try to play it") from error


def main_audio(container: InputContainer, path: Path) -> AudioSource:
    """The first audio track. Raises MediaError: none, not decodable."""
    if not container.streams.audio:
        raise _no_audio(path)
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise MediaError("the audio's codec cannot be decoded", path, "convert it to .wav")
    origin = _origin(container)
    return AudioSource.found(AudioInfo.of(stream, container, origin), path, origin)


def audio_of(video: VideoInfo, number: int = 0) -> AudioSource:
    """One of the video's audio tracks, by its place among them. Raises MediaError: none."""
    if not video.audio:
        raise _no_audio(video.path)
    return AudioSource.found(video.audio[number], video.path, video.origin)


def audio_stream(container: InputContainer, audio: AudioSource) -> AudioStream:
    """Returns the described stream. Raises MediaError: the file has been changed since."""
    streams = container.streams
    stream = streams[audio.index] if audio.index < len(streams) else None
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        remedy = "do not change the file while it is processed"
        raise MediaError("its audio track is no longer there", audio.path, remedy)
    return stream


def _no_audio(path: Path) -> MediaError:
    return MediaError("no audio in the file", path, "give a file with speech in it")


def _origin(container: InputContainer) -> Fraction:
    """The first time stamp in formats that may start at any; 0 in all others."""
    if not has_flag(container, Flags.ts_discont) and container.format.name not in WITHOUT_CLOCK:
        return Fraction(0)
    return min(stream_start(s) for s in (*container.streams.video, *container.streams.audio))
