"""Whose mouth speaks what, and when: one speech, or the entries of ``speakers``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from latentsync.errors import ConfigError, MediaError
from latentsync.media.audio.mix import (
    MixedSpeech,
    PlacedAudio,
    audio_seconds,
    write_soundtrack,
)
from latentsync.media.audio.reader import AudioReader
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.soundtrack import TemporarySoundtrack, bed_of
from latentsync.settings.schema import Config, SpeakerConfig

logger = logging.getLogger(__name__)

NOTICED = 0.05
"""Seconds; less than a video frame or so may be missing from a speech without a word."""


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
        self._bed = bed_of(config)
        self._mix = TemporarySoundtrack()
        self._notes: list[str] = []
        lengths: dict[str, float] = {}
        self.entries: list[tuple[str, PlacedAudio]] = []
        for number, one in enumerate(config.speakers, 1):
            path = str(one.audio)
            if path not in lengths:
                lengths[path] = audio_seconds(Path(path))
            placed = self._placed(f"speakers, entry {number}", one, lengths[path])
            self.entries.append((one.speaker, placed))
        for note in self._notes:
            logger.warning("%s", note)

    def _placed(self, where: str, one: SpeakerConfig, length: float) -> PlacedAudio:
        """length: seconds of its audio. Notes what of the speech will not be heard."""
        video, stated = self._video, self._stated
        if one.offset >= length:
            remedy = f"{one.audio} has {length:.2f} seconds"
            raise ConfigError(f"{where}, offset", one.offset, remedy)
        if 0 < stated <= one.start:
            remedy = f"{video.path} has {stated:.2f} seconds"
            raise ConfigError(f"{where}, start", one.start, remedy)
        last = one.start + length - one.offset
        end = last if one.end is None else min(one.end, last)
        if one.end is not None and one.end > last + NOTICED:
            self._notes.append(
                f"{where}, end: {one.end:g}; {one.audio} is over at {last:.2f} s, which is taken"
            )
        if 0 < stated < end - NOTICED:
            missing = f"the last {end - stated:.2f} s of its speech are cut off"
            self._notes.append(f"{where}: {missing}, as the video ends at {stated:.2f} s")
        return PlacedAudio(Path(str(one.audio)), one.start, end, one.offset)

    def __str__(self) -> str:
        return ", ".join(f"{one.path} ({speaker})" for speaker, one in self.entries)

    @property
    def speakers(self) -> list[str]:
        """Each value of ``speaker``, in order of its first entry."""
        return list(dict.fromkeys(speaker for speaker, _ in self.entries))

    @property
    def notes(self) -> list[str]:
        """What of the entries is not heard as they state it, a sentence each; also logged."""
        return list(self._notes)

    def line(self, speakers: Sequence[str], seconds: float) -> Line:
        """The speech of those speakers, who are one person. seconds: length of the video."""
        if self._video.frame_count == 1:
            seconds = self.seconds
        placed = tuple(one for speaker, one in self.entries if speaker in speakers)
        name = ", ".join(dict.fromkeys(str(one.path) for one in placed))
        return Line(name, MixedSpeech(placed, seconds), placed)

    @property
    def soundtrack(self) -> Path:
        """The given soundtrack, or the mix: a temporary file that is written on first access."""
        return self._mix.path(self._write) if self._given is None else Path(self._given)

    @property
    def _stated(self) -> float:
        """Length of the video; 0: unknown, or it has none, as it is one frame."""
        return 0.0 if self._video.frame_count == 1 else self._video.duration_seconds

    @cached_property
    def seconds(self) -> float:
        """Length of the output; where the video does not state one, of all that is heard."""
        if self._stated:
            return self._stated
        lengths = [one.end for _, one in self.entries]
        if self._video.audio:
            with suppress(MediaError):  # no sample can be decoded: there is none to be heard
                lengths.append(audio_seconds(self._video))
        return max(lengths)

    def _write(self, target: Path) -> None:
        placed = [one for _, one in self.entries]
        write_soundtrack(placed, self._video, self.seconds, target, bed=self._bed)
