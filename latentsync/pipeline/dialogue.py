"""Whose mouth speaks what, and when: one speech, or the entries of ``speakers``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from latentsync.errors import ConfigError
from latentsync.media.audio.mix import (
    MixedSpeech,
    PlacedAudio,
    audio_seconds,
    write_soundtrack,
)
from latentsync.media.audio.reader import AudioReader
from latentsync.media.probe import VideoInfo
from latentsync.settings.schema import Config


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """New speech of one speaker.

    name: of its files, for messages. audio: each iteration yields (n,) float32 mono blocks at 16
    kHz, from the output's beginning. placed: when it is heard; None: from the beginning to its end.
    """

    name: str
    audio: Iterable[np.ndarray]
    placed: tuple[PlacedAudio, ...] | None = None

    @classmethod
    def whole(cls, path: Path) -> Line:
        """Raises MediaError as AudioReader does."""
        return cls(str(path), AudioReader(path))

    def spoken(self, seconds: np.ndarray) -> np.ndarray | None:
        """seconds: (N,) of output frames -> (N,) bool: in which it is heard; None: see placed."""
        if self.placed is None:
            return None
        inside = [(seconds >= one.start - 1e-6) & (seconds < one.end - 1e-6) for one in self.placed]
        return np.any(inside, axis=0)


class Dialogue:
    """The entries of ``speakers``, checked, and the soundtrack that they make.

    Raises ConfigError for an entry outside the video or its audio, MediaError for a file that
    cannot be read.
    """

    def __init__(self, config: Config, video: VideoInfo) -> None:
        self._video, self._given = video, config.output.soundtrack
        lengths: dict[str, float] = {}
        self.entries: list[tuple[str, PlacedAudio]] = []
        for number, one in enumerate(config.speakers, 1):
            path = str(one.audio)
            if path not in lengths:
                lengths[path] = audio_seconds(Path(path))
            where = f"speakers, entry {number}"
            if one.offset >= lengths[path]:
                remedy = f"{path} has {lengths[path]:.2f} seconds"
                raise ConfigError(f"{where}, offset", one.offset, remedy)
            if 0 < video.duration_seconds <= one.start:
                remedy = f"{video.path} has {video.duration_seconds:.2f} seconds"
                raise ConfigError(f"{where}, start", one.start, remedy)
            end = one.start + lengths[path] - one.offset
            end = end if one.end is None else min(one.end, end)
            self.entries.append((one.speaker, PlacedAudio(Path(path), one.start, end, one.offset)))

    def __str__(self) -> str:
        return ", ".join(f"{one.path} ({speaker})" for speaker, one in self.entries)

    @property
    def speakers(self) -> list[str]:
        """Each value of ``speaker``, in order of its first entry."""
        return list(dict.fromkeys(speaker for speaker, _ in self.entries))

    def line(self, speakers: Sequence[str], seconds: float) -> Line:
        """The speech of those speakers, who are one person. seconds: length of the output."""
        placed = tuple(one for speaker, one in self.entries if speaker in speakers)
        name = ", ".join(dict.fromkeys(str(one.path) for one in placed))
        return Line(name, MixedSpeech(placed, seconds), placed)

    @property
    def soundtrack(self) -> Path:
        """The given soundtrack, or the mix: a temporary file that is written on first access."""
        return self._mix if self._given is None else Path(self._given)

    @cached_property
    def _mix(self) -> Path:
        self._folder = tempfile.TemporaryDirectory(prefix="latentsync-")  # removed with this object
        path = Path(self._folder.name) / "soundtrack.wav"
        end = max(one.end for _, one in self.entries)
        seconds = self._video.duration_seconds or end
        write_soundtrack([one for _, one in self.entries], self._video, seconds, path)
        return path
