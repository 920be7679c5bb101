"""Which frames of a result are measured: all of a short one, bursts of neighbours of a long one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from latentsync.media.container import DecodeIssues
from latentsync.media.decoder import Decoding, ToUpright
from latentsync.media.picture.still import read_still
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.source import source_of
from latentsync.tone import sdr
from latentsync.types import Frame

ALL_UP_TO = 24.0
"""Seconds of a video of which every frame is measured."""
BURST = 8
"""Neighbouring frames that are measured together. What compares neighbours gets seven pairs of
eight frames; tracks, which are smoothed over some frames, are steady in the middle."""
BURSTS, SECONDS_PER_FURTHER = 75, 30.0
"""Bursts in a longer video, and seconds for each further one: one a second in a minute, one every
6 s in ten minutes, one every 23 s in two hours, where measuring 2500 frames costs less than to
decode the video."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """Spans of so many seconds each, the first at 0, one every period; period 0: all of it."""

    length: float
    period: float

    @classmethod
    def over(cls, seconds: float, rate: float, *, burst: int = BURST, share: float = 1.0) -> Bursts:
        """seconds: of the whole; 0: unknown. rate: frames a second. burst: frames of each. share:
        in (0, 1], of the frames that may be measured at most."""
        count = (BURSTS + seconds / SECONDS_PER_FURTHER) * BURST / burst
        length = burst / rate
        period = seconds / count if seconds > ALL_UP_TO else 0.0
        period = max(period, length / share if share < 1 else 0.0)
        return cls(length, period if period > length else 0.0)

    def takes(self, second: float) -> bool:
        """Whether the frame that is shown then is measured."""
        # A little earlier, so that frames at the very beginning of a burst are in it.
        return not self.period or math.fmod(second + 1e-4, self.period) < self.length

    def near(self, second: float, margin: float) -> bool:
        """Whether a frame within so many seconds of that one is measured."""
        return any(self.takes(max(0.0, second + step)) for step in (-margin, 0.0, margin))


def frames_of(info: VideoInfo, wanted: Callable[[int, float], bool]) -> Iterator[Frame | None]:
    """Decodes a video or a picture; yields one item for each frame, in order: its SDR view, or None
    where it is not wanted, which costs nothing but to decode it.

    wanted: index, pts_seconds -> whether. Raises MediaError as VideoReader does.
    """
    if info.picture is not None:
        yield sdr(read_still(info)) if wanted(0, 0.0) else None
        return
    upright = ToUpright(info)
    with Decoding(info, DecodeIssues()) as decoding:
        for index, (pts, decoded) in enumerate(decoding.stamped()):
            second = float(pts * info.time_base)
            if wanted(index, second):
                yield sdr(upright.frame(index, upright(decoded, pts)))
            else:
                yield None


class SampledVideo:
    """Some frames of a video as a Source of a session: they are read as if they were all.

    wanted: see frames_of. After the first iteration: seconds: (F,) when each frame of the whole
    video is shown; indices: (K,) which of them were wanted.
    """

    issues: str | None = None

    def __init__(self, info: VideoInfo, wanted: Callable[[int, float], bool]) -> None:
        self.info, self._wanted = info, wanted
        self.seconds, self.indices = np.empty(0), np.empty(0, np.int64)

    def __iter__(self) -> Iterator[Frame]:
        seconds: list[float] = []
        indices: list[int] = []

        def note(index: int, second: float) -> bool:
            seconds.append(second)
            return self._wanted(index, second)

        for frame in frames_of(self.info, note):
            if frame is not None:
                indices.append(frame.index)
                yield frame
        self.seconds, self.indices = np.array(seconds), np.array(indices, np.int64)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        """indices: among the sampled frames."""
        return source_of(self.info).shown(self.indices[indices])
