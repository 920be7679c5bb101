"""The thresholds of the preparation of training data, all with names that the flags have too."""

from __future__ import annotations

import math
from dataclasses import dataclass

from latentsync.errors import ConfigError
from latentsync.training.preparation.manifest import FRAME_RATE, SKIPPABLE

LEAST_SECONDS = 2.0
"""A clip needs two windows of 16 frames at 25 a second that are 16 frames apart."""
RESOLUTIONS = (256, 512)
FINITE = (
    *("min_fps", "min_seconds", "max_seconds", "min_face", "min_speech"),
    *("min_confidence", "max_offset", "min_quality", "max_blur"),
)


@dataclass(frozen=True, slots=True)
class PreparationSettings:
    """resolution: of the clips [pixels]. min_fps: of a source. min_seconds, max_seconds: of a clip.

    min_face: width of the face in the source [pixels]; 0: half the resolution.
    min_speech: share of a clip in which its person speaks. min_confidence, max_offset: of SyncNet;
    the offset in frames. min_quality: of HyperIQA, 0 to 100. max_blur: without HyperIQA, of the
    edges at the eyes [clip pixels]. skip: names of steps that judge nothing. crf: of H.264; 0 is
    lossless. keep_damaged: use what can be read of a file that cannot be read to its end.
    """

    resolution: int = 256
    min_fps: float = 20.0
    min_seconds: float = 5.0
    max_seconds: float = 10.0
    min_face: int = 0
    min_speech: float = 0.2
    min_confidence: float = 3.0
    max_offset: int = 6
    min_quality: float = 40.0
    max_blur: float = 2.0
    skip: tuple[str, ...] = ()
    crf: int = 13
    keep_damaged: bool = False

    @property
    def face_width(self) -> int:
        return self.min_face or self.resolution // 2

    @property
    def shortest(self) -> int:
        """Frames."""
        return round(self.min_seconds * FRAME_RATE)

    @property
    def longest(self) -> int:
        """Frames."""
        return round(self.max_seconds * FRAME_RATE)

    def judges(self, step: str) -> bool:
        return step not in self.skip


def check(settings: PreparationSettings) -> PreparationSettings:
    """Returns them. Raises ConfigError for a value that makes no sense."""
    for name in FINITE:
        if not math.isfinite(getattr(settings, name)):
            raise ConfigError(f"--{name}", getattr(settings, name), "use a finite number")
    if settings.resolution not in RESOLUTIONS:
        raise ConfigError("--resolution", settings.resolution, "LatentSync has 256 and 512")
    if settings.min_seconds < LEAST_SECONDS:
        remedy = f"training needs {LEAST_SECONDS:g} s: 16 frames, and 16 others as reference"
        raise ConfigError("--min_seconds", settings.min_seconds, remedy)
    if settings.max_seconds < settings.min_seconds:
        remedy = f"it cannot be below --min_seconds, {settings.min_seconds:g}"
        raise ConfigError("--max_seconds", settings.max_seconds, remedy)
    if not 0 <= settings.min_speech <= 1:
        raise ConfigError("--min_speech", settings.min_speech, "it is a share, from 0 to 1")
    if not 0 <= settings.max_offset <= 15:
        raise ConfigError("--max_offset", settings.max_offset, "SyncNet compares 0 to 15 frames")
    if not 0 <= settings.crf <= 51:
        raise ConfigError("--crf", settings.crf, "H.264 has 0 (lossless) to 51")
    for name in ("min_fps", "min_face", "min_confidence", "min_quality", "max_blur"):
        if getattr(settings, name) < 0:
            raise ConfigError(f"--{name}", getattr(settings, name), "it cannot be below 0")
    for step in settings.skip:
        if step not in SKIPPABLE:
            raise ConfigError("--skip", step, f"steps that can be left out: {', '.join(SKIPPABLE)}")
    return settings
