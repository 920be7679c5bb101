"""Keys of earlier versions: renamed, removed, and replaced by ones that mean something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Renamed:
    """The new key of a setting. convert: old value -> new value; None: it stays the same.

    because: why the value changes, a phrase about the old key. unit: of the new value.
    """

    key: str
    convert: Callable[[float], float] | None = None
    because: str = ""
    unit: str = ""


FRAMES_PER_SECOND = 25
"""Frame rate at which settings that counted frames are converted to seconds."""


def _now_in_seconds(key: str) -> Renamed:
    return Renamed(key, lambda frames: frames / FRAMES_PER_SECOND, "in frames", "s")


RENAMED: dict[str, Renamed] = {
    "face.smoothing": _now_in_seconds("face.smoothing_seconds"),
    "face.max_gap": _now_in_seconds("face.max_gap_seconds"),
    "face.select": Renamed("face.speaker"),
    "restore.fade_frames": _now_in_seconds("restore.fade_seconds"),
}
"""Old key -> new key. Old keys are still read everywhere, but never listed or suggested."""


RETIRED: dict[str, str] = {
    "face.align": "smooth",
    "output.paste": "box",
    "generate.noise": "per_chunk",
    "generate.last_chunk": "reflect",
}
"""Removed settings -> the value that always applies now. Any other value is refused, because
compat=upstream replaces these settings as a whole."""


REPLACED: dict[str, str] = {
    "restore.sharpness_on": "restore.blur_on, the probability above which a mouth is restored",
    "restore.sharpness_off": "restore.blur_off, the probability below which it no longer is",
}
"""Removed settings whose values mean nothing to the ones that took their place: old key -> what to
use now. They are read everywhere, have no effect, and the run says so."""
