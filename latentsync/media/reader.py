"""A film as a stream of upright RGB frames, a few in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from latentsync.media.damage import Damage
from latentsync.media.decoder import Decoding, ToUpright
from latentsync.media.probe import VideoInfo, probed
from latentsync.types import Frame


class VideoReader:
    """Iterate for frames; each iteration opens the file anew, so that a film can be read twice.

    start, stop: frame indices, half open; frames before start are decoded all the same, because
        only decoding forward is exact in every format.
    Raises MediaError as probe does.
    """

    def __init__(
        self, source: Path | str | VideoInfo, *, start: int = 0, stop: int | None = None
    ) -> None:
        self.info: VideoInfo = probed(source)
        self._start, self._stop = start, stop
        self._damage = Damage()

    @property
    def damage(self) -> str | None:
        """What could not be read in the latest iteration, and where; None while all is well."""
        return str(self._damage) or None

    def __iter__(self) -> Iterator[Frame]:
        """Frames in the order of presentation; pixels (H, W, 3) uint8 RGB, upright, C-contiguous.

        pts is strictly increasing, in ticks of info.time_base counted from info.origin.
        """
        self._damage = Damage()
        upright = ToUpright(self.info)
        with Decoding(self.info, self._damage) as decoding:
            for index, (pts, picture) in enumerate(decoding.stamped()):
                if self._stop is not None and index >= self._stop:
                    return
                if index >= self._start:
                    yield Frame(index, float(pts * self.info.time_base), pts, upright(picture))
