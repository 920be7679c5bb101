"""A source at 25 frames a second of its own time, upright, with square pixels, 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from latentsync.errors import MediaError
from latentsync.media.probe import VideoInfo
from latentsync.media.reader import VideoReader
from latentsync.tone import sdr
from latentsync.training.preparation.manifest import FRAME_RATE
from latentsync.types import Frame

LONGEST_GAP = 10.0
"""Seconds for which a frame may be shown: beyond it the time stamps are damaged."""


class SteadyFrames:
    """A pipeline.source.Source. Each instant of the grid shows the frame that is nearest in time.

    Computed from each time alone, as evaluate.sync.instants does, so that nothing drifts; a frame
    may come several times. tick: called for each frame that is decoded; may raise.
    """

    def __init__(self, info: VideoInfo, tick: Callable[[], None] = lambda: None) -> None:
        self.info = info
        self._reader, self._tick = VideoReader(info), tick

    @property
    def issues(self) -> str | None:
        return self._reader.issues

    def __iter__(self) -> Iterator[Frame]:
        """Frames numbered by instant, pts_seconds = index / 25, pixels (H, W, 3) uint8 RGB.

        Raises MediaError: no frame can be decoded, or one is shown for longer than LONGEST_GAP.
        """
        index, held = 0, None
        for frame in self._reader:
            self._tick()
            if held is not None:
                self._check_gap(held, frame)
                middle = (held.pts_seconds + frame.pts_seconds) / 2
                while index / FRAME_RATE <= middle:
                    yield self._at(held, index)
                    index += 1
            held = frame
        if held is None:
            raise MediaError("no frame can be decoded", self.info.path, "try to play it")
        end = held.pts_seconds + 1 / float(self.info.average_rate)
        for instant in range(index, max(1, round(end * FRAME_RATE))):
            yield self._at(held, instant)

    def shown(self, indices: np.ndarray) -> Iterator[Frame]:
        """The frames at these instants, rising."""
        wanted = iter(indices.tolist())
        following = next(wanted, None)
        for frame in self:
            while following == frame.index:
                yield frame
                following = next(wanted, None)
            if following is None:
                return

    def _at(self, frame: Frame, index: int) -> Frame:
        plain = sdr(frame)
        pixels = with_square_pixels(plain.pixels, float(self.info.sample_aspect_ratio))
        moved = replace(plain, index=index, pts=index, pts_seconds=index / FRAME_RATE)
        return replace(moved, pixels=pixels, carrier=None)

    def _check_gap(self, before: Frame, after: Frame) -> None:
        gap = after.pts_seconds - before.pts_seconds
        if gap > LONGEST_GAP:
            what = f"a frame is shown for {gap:.0f} s"
            raise MediaError(what, self.info.path, "its time stamps are damaged")


def with_square_pixels(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """(H, W, 3) uint8 -> the same, as wide as it is shown. aspect: width of a pixel over height."""
    if abs(aspect - 1) < 1e-3:
        return pixels
    height, width = pixels.shape[:2]
    return cv2.resize(pixels, (max(1, round(width * aspect)), height), interpolation=cv2.INTER_AREA)
