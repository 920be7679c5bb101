"""A video read in any order: faster, slower, backwards, round and round; a few frames in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from latentsync.errors import MediaError
from latentsync.media.container import DecodeIssues
from latentsync.media.decoder import Decoding, ToUpright
from latentsync.media.probe import VideoInfo, probed
from latentsync.media.seeking import DecodedFrame, FrameTable, SeekingDecoder
from latentsync.types import Frame

_BLOCK = 24  # frames of a run backwards that are held: 150 MB at 1080p
_SPAN = 4 * _BLOCK  # frames of the video that a block may cover; a jump back is no run


class IndexedReader:
    """Iterate for the frames that stand at the given indices, in that order, each as often.

    indices: (n,) integers, numbers of frames as VideoReader counts them. What rises is streamed;
        what falls is read forward in blocks of _BLOCK frames; what repeats is decoded once.
    Raises MediaError as probe does; once iterated, also: an index behind the video's last frame.
    """

    def __init__(self, source: Path | str | VideoInfo, indices: Sequence[int] | np.ndarray) -> None:
        self.info: VideoInfo = probed(source)
        self._order = [int(index) for index in indices]
        if min(self._order, default=0) < 0:
            raise ValueError(f"a frame cannot have the number {min(self._order)}")
        self._issues = DecodeIssues()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def issues(self) -> str | None:
        """What could not be read in the latest iteration, and where; None while all is well."""
        return str(self._issues) or None

    def __iter__(self) -> Iterator[Frame]:
        """Frames that are each the caller's own; pixels as VideoReader's.

        index counts the frames given out, from 0; pts and pts_seconds are the source frame's.
        """
        self._issues = DecodeIssues()
        last_use = {index: place for place, index in enumerate(self._order)}
        held: dict[int, DecodedFrame] = {}
        with Decoding(self.info, self._issues) as decoding:
            finder = _FrameFinder(self.info, decoding, _wanted_again(self._order))
            try:
                for place, index in enumerate(self._order):
                    if index not in held:
                        held.clear()
                        held = finder.frames(_block(self._order, place))
                    done = last_use[index] == place
                    yield self._frame(place, held.pop(index) if done else _copy(held[index]))
            finally:
                finder.close()

    def _frame(self, index: int, decoded: DecodedFrame) -> Frame:
        return Frame(index, float(decoded.pts * self.info.time_base), decoded.pts, decoded.pixels)


class _FrameFinder:
    """Decodes a video forward, and seeks the frames that it has passed."""

    def __init__(self, info: VideoInfo, decoding: Decoding, again: Collection[int]) -> None:
        self._info, self._again = info, again
        self._upright = ToUpright(info)
        self._table = FrameTable()
        self._stamped = decoding.stamped()
        self._seeking = SeekingDecoder(info, self._table, self._upright)

    def close(self) -> None:
        self._seeking.close()

    def frames(self, wanted: Sequence[int]) -> dict[int, DecodedFrame]:
        """wanted: rising. At least the last one; those at its side that are in reach, too."""
        unseen = [index for index in wanted if index >= len(self._table)]
        found = self._decode_on_to(unseen) if unseen else self._seeking.frames(wanted)
        if wanted[-1] in found:
            return found
        what = f"the video ends before its frame {wanted[-1]}, which was there before"
        raise MediaError(what, self._info.path, "do not change the video while it is worked on")

    def _decode_on_to(self, wanted: Sequence[int]) -> dict[int, DecodedFrame]:
        found: dict[int, DecodedFrame] = {}
        while len(self._table) <= wanted[-1] and (step := next(self._stamped, None)):
            (pts, frame), index = step, len(self._table)
            again = index in self._again
            pixels = self._upright(frame) if again or index in wanted else None
            self._table.add(frame.pts, pts, pixels if again else None)
            if pixels is not None and index in wanted:
                found[index] = DecodedFrame(pts, pixels)
        return found


def _block(order: Sequence[int], place: int) -> list[int]:
    """Different indices, rising: the one at that place, and those of a falling run from there."""
    block = [order[place]]
    for before, index in pairwise(order[place : place + _SPAN]):
        if index > before or index <= block[0] - _SPAN or len(block) == _BLOCK:
            break
        if index < before:
            block.append(index)
    return block[::-1]


def _wanted_again(order: Sequence[int]) -> frozenset[int]:
    """Indices that are come back to after the video was decoded beyond them, or that far."""
    again, furthest = set(), -1
    for place, index in enumerate(order):
        if index <= furthest and index != order[place - 1]:
            again.add(index)
        furthest = max(furthest, index)
    return frozenset(again)


def _copy(decoded: DecodedFrame) -> DecodedFrame:
    return DecodedFrame(decoded.pts, decoded.pixels.copy())
