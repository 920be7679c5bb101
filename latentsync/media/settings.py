"""How an output is encoded: the settings, and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from av.codec import Codec

from latentsync.errors import ConfigError
from latentsync.media.audio.info import AudioSource

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
    # A tenth more bits, for chroma: at crf 18 the RGB PSNR of a 1080p video rises from 44.8 to
    # 45.6 dB. People notice colour shifts in a face.
    "libx264": {"x264-params": "chroma-qp-offset=-6"},
    "libx265": {"x265-params": "log-level=error"},  # it prints without FFmpeg's log
}
"""The supported encoders, with the options that each needs besides crf and preset."""

AUDIO_CODECS = ("auto", "aac", "alac")
_MAX_CRF = 51


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How the video and its audio are encoded. crf: 0 (lossless) to 51.

    roi_offset: steps of crf by which the roi of a frame is finer; see VideoWriter.write.
    audio: "auto" copies what the container and common players take, and encodes the rest to AAC;
        "aac" and "alac" are for all audio: a track that already has the codec is copied.
    """

    codec: str = "libx264"
    crf: int = 18
    preset: str = "medium"
    pix_fmt: str = "yuv420p"
    roi_offset: int = 0
    audio: str = "auto"


@dataclass(frozen=True, slots=True)
class NewAudio:
    """Audio in place of the video's: the first audio track of path.

    Both files share time zero. seconds: where it is cut off; None: not at all.
    info: AudioReader.info of it, if known; None: it is read when needed.
    """

    path: Path
    seconds: float | None = None
    info: AudioSource | None = None


def check_settings(settings: EncodeSettings) -> None:
    """Raises ConfigError: unknown encoder, preset, pixel format or audio; crf out of range."""
    if settings.codec not in ENCODERS:
        raise ConfigError("unknown video encoder", settings.codec, f"use {one_of(ENCODERS)}")
    if settings.preset not in _PRESETS:
        raise ConfigError("unknown encoder preset", settings.preset, f"use {one_of(_PRESETS)}")
    if settings.audio not in AUDIO_CODECS:
        raise ConfigError("unknown audio codec", settings.audio, f"use {one_of(AUDIO_CODECS)}")
    if not 0 <= settings.crf <= _MAX_CRF:
        raise ConfigError("crf out of range", settings.crf, f"use 0 (lossless) to {_MAX_CRF}")
    formats = [f.name for f in Codec(settings.codec, "w").video_formats or ()]
    usable = tuple(name for name in formats if name.startswith("yuv4"))
    if settings.pix_fmt not in usable:
        raise ConfigError(
            f"{settings.codec} cannot write this pixel format",
            settings.pix_fmt,
            f"use {one_of(usable)}",
        )


def one_of(names: Iterable[str]) -> str:
    """ "a, b or c", for a sentence."""
    words = list(names)
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
