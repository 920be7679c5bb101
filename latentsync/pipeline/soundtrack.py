"""The soundtrack of an output with new speech, in a temporary file where it has to be made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from latentsync.media.audio.mix import Bed, soundtrack_errors
from latentsync.settings.lengths import decibels
from latentsync.settings.schema import Config

ROOM = 1.0
"""Seconds that a soundtrack is longer than the video, whose stated length may be too short; the
output ends with its last frame."""


def bed_of(config: Config, stretch: float = 1.0) -> Bed | None:
    """What is heard of the video's own audio. stretch: see Bed."""
    if config.output.mix is not None:
        return Bed.at(decibels(config.output.mix), stretch)
    return Bed() if config.speakers else None


class TemporarySoundtrack:
    """A temporary file that is removed with this object."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def path(self, write: Callable[[Path], None]) -> Path:
        """write: writes it, under the path that it is given; called on first access.

        Raises MediaError where it cannot be written.
        """
        if self._path is None:
            with soundtrack_errors("a temporary file"):
                self._folder = tempfile.TemporaryDirectory(prefix="latentsync-")  # goes with self
            path = Path(self._folder.name) / "soundtrack.wav"
            write(path)
            self._path = path
        return self._path
