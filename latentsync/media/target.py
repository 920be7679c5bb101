"""Whether an output can be written, asked before any work is done for it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
from av.codec import Codec

from latentsync.errors import ConfigError, MediaError
from latentsync.media.audio import AudioReader
from latentsync.media.container import MUXERS, file_url
from latentsync.media.probe import VideoInfo

_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
ENCODERS: dict[str, dict[str, str]] = {
    # A tenth more bits, spent on colour: at crf 18 it lifts a 1080p film's PSNR to its source, over
    # RGB, from 44.8 to 45.6 dB. Colour that drifts in the face is what people notice.
    "libx264": {"x264-params": "chroma-qp-offset=-6"},
    "libx265": {"x265-params": "log-level=error"},  # it prints past FFmpeg's own log
}
"""The encoders that are known here, with the options that each needs besides crf and preset."""

_NOT_IN_MOV = {"flac", "opus", "truehd"}
"""FFmpeg lists them for QuickTime as well, and refuses them once the header is to be written."""

_MAX_CRF = 51
_MAX_NAME = 255  # bytes, in every file system that matters


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How the picture is encoded, once. crf: 0 (lossless) to 51.

    finer: steps of crf by which the part of a frame that VideoWriter.write is told of is finer.
    """

    codec: str = "libx264"
    crf: int = 18
    preset: str = "medium"
    pix_fmt: str = "yuv420p"
    finer: int = 0


@dataclass(frozen=True, slots=True)
class NewAudio:
    """Sound that takes the place of the film's: the first sound track of path.

    Its file's zero is the film's. seconds: where it is cut off; None: it ends when it ends.
    """

    path: Path
    seconds: float | None = None


def part_path(target: Path) -> Path:
    """Where this process's output grows until it is complete: beside its place, hidden."""
    return target.with_name(f".{target.name}.{os.getpid()}.part{target.suffix}")


def check_target(
    target: Path, source: VideoInfo, settings: EncodeSettings, audio: NewAudio | None = None
) -> None:
    """Raise MediaError if the output cannot be written, ConfigError if the settings make no sense.

    MediaError, too, if the new audio cannot be read. What the output cannot hold of it is encoded.
    Writes nothing: folders that are missing are made when the writing starts.
    """
    check_settings(settings)
    _check_name(target)
    try:
        _check_place(target)
        _check_not_the_input(target, source.path)
        if audio is not None:
            _check_not_the_input(target, audio.path)
    except OSError as error:
        remedy = f"{error.strerror}; choose another place"
        raise MediaError("cannot write the output", target, remedy) from error
    if audio is None:
        _check_audio(target, source)
    else:
        AudioReader(audio.path)


def check_settings(settings: EncodeSettings) -> None:
    """Raises ConfigError: unknown encoder, preset or pixel format, crf out of range."""
    if settings.codec not in ENCODERS:
        raise ConfigError("unknown video encoder", settings.codec, f"use {_one_of(ENCODERS)}")
    if settings.preset not in _PRESETS:
        raise ConfigError("unknown encoder preset", settings.preset, f"use {_one_of(_PRESETS)}")
    if not 0 <= settings.crf <= _MAX_CRF:
        raise ConfigError("crf out of range", settings.crf, f"use 0 (lossless) to {_MAX_CRF}")
    formats = [f.name for f in Codec(settings.codec, "w").video_formats or ()]
    usable = tuple(name for name in formats if name.startswith("yuv4"))
    if settings.pix_fmt not in usable:
        raise ConfigError(
            f"{settings.codec} cannot write this pixel format",
            settings.pix_fmt,
            f"use {_one_of(usable)}",
        )


def _check_name(target: Path) -> None:
    if target.suffix.lower() not in MUXERS:
        raise MediaError("unknown kind of output", target, f"end its name in {_one_of(MUXERS)}")
    if len(os.fsencode(part_path(target).name)) > _MAX_NAME:
        raise MediaError("the output's name is too long", target, "shorten it")


def _check_place(target: Path) -> None:
    if target.is_dir():
        raise MediaError("the output is a folder", target, "name a file in it")
    if target.exists() and not os.access(target, os.W_OK):
        raise MediaError("the output is write-protected", target, "choose another name")
    folder = target.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise MediaError("the output's folder cannot be made", target, f"{folder} is a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MediaError("the output's folder is write-protected", folder, "choose another folder")


def _check_not_the_input(target: Path, source: Path) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise MediaError("the output is the input", target, "choose another name for the output")


def _check_audio(target: Path, source: VideoInfo) -> None:
    codecs = {stream.codec for stream in source.audio}
    missing = codecs - audio_codecs(MUXERS[target.suffix.lower()])
    if not missing:
        return
    fitting = tuple(s for s, muxer in MUXERS.items() if codecs <= audio_codecs(muxer))
    remedy = f"end its name in {_one_of(fitting)}" if fitting else "convert the sound to AAC first"
    raise MediaError(
        f"a {target.suffix} file cannot hold {_one_of(sorted(missing))} sound", target, remedy
    )


@functools.lru_cache
def audio_codecs(muxer: str) -> frozenset[str]:
    """What the container may hold, by the codecs' canonical names."""
    with av.open(file_url(Path(os.devnull)), "w", format=muxer) as container:
        names = container.supported_codecs
    found = {canonical for name in names for canonical in _canonical_names(name)}
    return frozenset(found - _NOT_IN_MOV if muxer == "mov" else found)


def _canonical_names(name: str) -> set[str]:
    found = set()
    for mode in ("r", "w"):
        try:
            found.add(Codec(name, mode).canonical_name)
        except ValueError:  # UnknownCodecError: it only codes, or only decodes
            continue
    return found


def _one_of(names: Iterable[str]) -> str:
    words = list(names)
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
