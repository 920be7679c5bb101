"""The audio that is heard with a result, on the time axis of its frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from latentsync.media.audio.reader import SAMPLE_RATE, AudioReader
from latentsync.media.probe import VideoInfo, probed

__all__ = ["SAMPLE_RATE", "HeardAudio", "heard_with"]


class HeardAudio:
    """Iterate for (n,) float32 mono blocks in [-1, 1) at SAMPLE_RATE [Hz], ten seconds each; the
    last may be shorter.

    Sample i of the whole is heard at i / SAMPLE_RATE [s]; the frame of a FramePair is shown at
    pair.seconds on the same axis. It may end before the video, or after it. Each iteration reads
    the file anew. path: of the file that is read.
    Raises MediaError when iterated: no sample can be decoded.
    """

    def __init__(self, reader: AudioReader) -> None:
        self._reader = reader
        self.path: Path = reader.info.path

    @property
    def issues(self) -> str | None:
        """What could not be read in the latest iteration; None: all was read."""
        return self._reader.issues

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self._reader)

    def samples(self) -> np.ndarray:
        """(n,) float32, the whole at once: 230 MB for an hour."""
        return np.concatenate(list(self))


def heard_with(
    result: Path | str | VideoInfo, audio: Path | str | None = None
) -> HeardAudio | None:
    """The audio of the result, or that of another file, which begins with the result's first
    instant (second 0). None: the result has no audio, and no other is given.

    Raises MediaError: a file cannot be read, or has no audio.
    """
    if audio is not None:
        return HeardAudio(AudioReader(audio))
    info = probed(result)
    return HeardAudio(AudioReader(info)) if info.audio else None
