"""New speech of one speaker: when it is heard, for how long, and what is heard beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from latentsync.errors import ConfigError
from latentsync.media.audio.mix import MixedSpeech, PlacedAudio, audio_seconds, write_soundtrack
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.dialogue import NOTICED, Line
from latentsync.pipeline.planning.checks import check_remap
from latentsync.pipeline.planning.timeline import output_seconds
from latentsync.pipeline.soundtrack import ROOM, TemporarySoundtrack, bed_of
from latentsync.settings.lengths import BOUNCE, CUT_OFF, HOLD, LOOP, REMAP, SILENCE, VIDEO
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)


class PlacedSpeech:
    """One speech, with input.audio_offset, output.length and output.mix.

    Raises ConfigError where it does not go with the length of the video, MediaError for a file that
    cannot be read. The speech is decoded only where its length matters.
    """

    def __init__(self, config: Config, video: VideoInfo, path: Path) -> None:
        self.path, self._video = path, video
        self._config, self._offset = config, config.input.audio_offset
        self._mix = TemporarySoundtrack()
        self._check()
        for note in self.notes:
            logger.warning("%s", note)

    def __str__(self) -> str:
        if not self._offset:
            return str(self.path)
        how = "begins at" if self._offset > 0 else "without its first"
        return f"{self.path} ({how} {abs(self._offset):g} s)"

    @property
    def video_seconds(self) -> float:
        """Stated length of the video; 0: unknown, or it has none, as it is one frame."""
        return 0.0 if self._video.frame_count == 1 else self._video.duration_seconds

    @cached_property
    def end(self) -> float:
        """The second of the output at which the speech ends."""
        return audio_seconds(self.path) + self._offset

    @property
    def placed(self) -> PlacedAudio:
        offset = self._offset
        return PlacedAudio(self.path, max(offset, 0.0), self.end, max(-offset, 0.0))

    @property
    def seconds(self) -> float:
        """When the output ends, by the stated length of the video."""
        return output_seconds(self._config.length, self.video_seconds, self.end)

    @cached_property
    def notes(self) -> list[str]:
        """What of the speech is not heard, and what else is not as asked for; also logged."""
        notes, video = [], self.video_seconds
        if self._config.length in (CUT_OFF, VIDEO) and 0 < video < self.end - NOTICED:
            missing = f"the last {self.end - video:.2f} s of the speech are cut off"
            notes.append(f"{missing}, as the video ends at {video:.2f} s")
        if self._config.output.mix is not None and not self._video.audio:
            notes.append(f"{self._video.path} has no audio: output.mix has no effect")
        return notes

    def line(self, _speakers: Sequence[str], _seconds: float) -> Line:
        """The speech of the only speaker."""
        if not self._offset:
            return Line.whole(self.path)
        return Line(str(self.path), MixedSpeech([self.placed], self.end), (self.placed,))

    @property
    def soundtrack(self) -> Path:
        """The speech itself, or a temporary file that is written on first access."""
        mixed = self._config.output.mix is not None and bool(self._video.audio)
        padded = self._config.length == SILENCE and self.end < self.video_seconds
        return self._mix.path(self._write) if self._offset or mixed or padded else self.path

    def _check(self) -> None:
        offset, length, video = self._offset, self._config.length, self.video_seconds
        if offset < 0 and self.end <= 0:
            remedy = f"nothing is left: {self.path} has {self.end - offset:.2f} seconds"
            raise ConfigError("input.audio_offset", offset, remedy)
        if length in (CUT_OFF, VIDEO) and 0 < video <= offset:
            words = ", ".join((BOUNCE, LOOP, HOLD, SILENCE))
            remedy = f"the video ends at {video:.2f} s; begin earlier, or use output.length={words}"
            raise ConfigError("input.audio_offset", offset, remedy)
        if length == REMAP and video:
            check_remap(video, self.end, self._config.output.max_remap)

    def _write(self, target: Path) -> None:
        seconds, video = self.seconds, self.video_seconds
        stretch = seconds / video if self._config.length == REMAP and video else 1.0
        bed = bed_of(self._config, stretch)
        write_soundtrack([self.placed], self._video, seconds + ROOM, target, bed=bed)
