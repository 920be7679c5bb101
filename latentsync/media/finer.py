"""A part of each picture that the encoder spends more bits on."""

from __future__ import annotations

from av.video.frame import VideoFrame

from latentsync.media.avframe import PictureFilter
from latentsync.types import Box

_CRF_RANGE = 51  # steps of crf in FFmpeg's quality offset of 1
_GRID = 16  # pixels: encoders choose quality by macroblock


class FinerRegion:
    """Marks a box of a picture for the encoder (FFmpeg's "region of interest").

    Without it, measured on a 1080p film at crf 18, the mouth comes out at 42.5 dB to what was
    written, and the encoder takes back what the restorer gave; 10 steps finer make it 48.4 dB.
    """

    def __init__(self, steps: int) -> None:
        """steps: of crf; 0 marks nothing."""
        self._offset = -steps / _CRF_RANGE
        self._box: Box | None = None
        self._filter: PictureFilter | None = None

    def marked(self, picture: VideoFrame, box: Box) -> VideoFrame:
        """The same picture; whatever its time stamps were, they are to be set again."""
        if not self._offset or box.empty:
            return picture
        box = _on_grid(box)
        if self._filter is None or box != self._box:
            place = f"x={box.x0}:y={box.y0}:w={box.x1 - box.x0}:h={box.y1 - box.y0}"
            self._box = box
            self._filter = PictureFilter("addroi", f"{place}:qoffset={self._offset:.4f}")
        return self._filter(picture)


def _on_grid(box: Box) -> Box:
    """The box of whole macroblocks around it: changes seldom, so that filters are set up seldom."""
    low = box.x0 // _GRID * _GRID, box.y0 // _GRID * _GRID
    return Box(*low, -(-box.x1 // _GRID) * _GRID, -(-box.y1 // _GRID) * _GRID)
