"""How an output is encoded: the settings, and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from latentsync.errors import ConfigError
from latentsync.media.audio.info import AudioSource
from latentsync.media.encoder_options import MAX_CRF, PRESETS, Quality
from latentsync.media.encoders import ENCODERS, installed

AUTO = "auto"
"""The codec that depends on the video; see media.auto."""
SOURCE = "source"
"""The pixel format that keeps what the video has."""

AUDIO_CODECS = ("auto", "aac", "alac")
USUAL_ROI_OFFSET = 10
"""The default of output.finer_mouth: where an encoder has no use for it, nothing is said."""


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How the video and its audio are encoded. crf: 0 (lossless) to 51, as x264 counts.

    codec: a name in ENCODERS, or AUTO. preset: one of PRESETS. pix_fmt: FFmpeg's name, or SOURCE.
    roi_offset: steps of crf by which the roi of a frame is finer; see VideoWriter.write.
    audio: "auto" copies what the container and common players take, and encodes the rest to AAC;
        "aac" and "alac" are for all audio: a track that already has the codec is copied.
    """

    codec: str = AUTO
    crf: int = 18
    preset: str = "medium"
    pix_fmt: str = SOURCE
    roi_offset: int = 0
    audio: str = "auto"

    def quality(self, profile: str = "") -> Quality:
        """What the encoder is asked for. profile: of the source, as PyAV names it."""
        return Quality(self.crf, self.preset, self.pix_fmt, profile)

    @property
    def effective(self) -> dict[str, int | str | None]:
        """crf and preset; None where the encoder, which has to be named, has no such setting."""
        ignored = ENCODERS[self.codec].ignored
        given: dict[str, int | str] = {"crf": self.crf, "preset": self.preset}
        return {key: None if key in ignored else value for key, value in given.items()}


@dataclass(frozen=True, slots=True)
class NewAudio:
    """Audio in place of the video's: the first audio track of path.

    Both files share time zero. seconds: where it is cut off; None: not at all. stretch: seconds of
    the output for each second of the video, whose subtitles and chapters move with it.
    info: AudioReader.info of it, if known; None: it is read when needed.
    """

    path: Path
    seconds: float | None = None
    info: AudioSource | None = None
    stretch: float = 1.0


def check_settings(settings: EncodeSettings) -> None:
    """Raises ConfigError: unknown or missing encoder, unknown preset or audio, crf out of range."""
    if settings.codec != AUTO and settings.codec not in ENCODERS:
        remedy = f"use {one_of((AUTO, *installed()))}"
        raise ConfigError("unknown video encoder", settings.codec, remedy)
    if settings.codec != AUTO and settings.codec not in installed():
        remedy = f"it is not part of the installed PyAV; use {one_of((AUTO, *installed()))}"
        raise ConfigError("no such video encoder here", settings.codec, remedy)
    if settings.preset not in PRESETS:
        raise ConfigError("unknown encoder preset", settings.preset, f"use {one_of(PRESETS)}")
    if settings.audio not in AUDIO_CODECS:
        raise ConfigError("unknown audio codec", settings.audio, f"use {one_of(AUDIO_CODECS)}")
    if not 0 <= settings.crf <= MAX_CRF:
        raise ConfigError("crf out of range", settings.crf, f"use 0 (lossless) to {MAX_CRF}")


def one_of(names: Iterable[str]) -> str:
    """ "a, b or c", for a sentence."""
    words = list(names)
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
