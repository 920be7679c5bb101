"""Reads the frames of a video in any order, also backwards or repeated; few in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from latentsync.errors import MediaError
from latentsync.media.container import DecodeIssues
from latentsync.media.decoder import DecodedFrame, Decoding, ToUpright
from latentsync.media.probe import VideoInfo, probed
from latentsync.media.seeking import FrameTable, KnownFrames, SeekingDecoder
from latentsync.types import Frame

_BLOCK = 24  # frames held when reading backwards: 150 MB at 1080p
_NEAR = 250  # frames from the start; a shorter way is decoded, not sought
_SPAN = 4 * _BLOCK  # frames that a block may cover; a longer step back is a jump


class IndexedReader:
    """Iterate for the frames at the given indices, in that order, repetitions included.

    indices: (n,) integers, as VideoReader counts frames. Rising runs are streamed; falling ones
        are read forward in blocks of _BLOCK frames; repeated frames are decoded once.
    known: all frames of the video: the first index is sought; each frame has to be the known one.
    Raises MediaError as probe does; when iterated, also: an index beyond the last frame.
    """

    def __init__(
        self,
        source: Path | str | VideoInfo,
        indices: Sequence[int] | np.ndarray,
        known: KnownFrames | None = None,
    ) -> None:
        self.info: VideoInfo = probed(source)
        self._order = [int(index) for index in indices]
        far = min(self._order, default=0) > _NEAR
        self._known = known if far else None
        if min(self._order, default=0) < 0:
            raise ValueError(f"negative frame index: {min(self._order)}")
        self._issues = DecodeIssues()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def issues(self) -> str | None:
        """What could not be read in the latest iteration, and where; None: all was read."""
        return str(self._issues) or None

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames that the caller may change; pixels as VideoReader's.

        index counts the frames given out, from 0; pts and pts_seconds are the source frame's.
        """
        self._issues = DecodeIssues()
        last_use = {index: place for place, index in enumerate(self._order)}
        held: dict[int, DecodedFrame] = {}
        with Decoding(self.info, self._issues) as decoding:
            finder = _FrameFinder(self.info, decoding, _wanted_again(self._order), self._known)
            try:
                for place, index in enumerate(self._order):
                    if index not in held:
                        held.clear()
                        held = finder.frames(_block(self._order, place))
                    done = last_use[index] == place
                    yield finder.frame(place, held.pop(index) if done else held[index].copied())
            finally:
                finder.close()


class _FrameFinder:
    """Decodes a video forward, and seeks frames that were already passed."""

    def __init__(
        self,
        info: VideoInfo,
        decoding: Decoding,
        again: Collection[int],
        known: KnownFrames | None,
    ) -> None:
        self._info, self._again = info, again
        self._upright = ToUpright(info)
        self._table = FrameTable() if known is None else FrameTable.of(known, info)
        self._stamped = decoding.stamped()
        self._seeking = SeekingDecoder(info, self._table, self._upright)

    def close(self) -> None:
        self._seeking.close()

    def frame(self, index: int, decoded: DecodedFrame) -> Frame:
        """index: of the frame given out."""
        return self._upright.frame(index, decoded)

    def frames(self, wanted: Sequence[int]) -> dict[int, DecodedFrame]:
        """wanted: rising. Returns at least the last one, and the others that were decoded."""
        unseen = [index for index in wanted if index >= len(self._table)]
        found = self._decode_on_to(unseen) if unseen else self._seeking.frames(wanted)
        if wanted[-1] in found:
            return found
        what = f"the video now ends before frame {wanted[-1]}"
        raise MediaError(what, self._info.path, "do not change the video while it is processed")

    def _decode_on_to(self, wanted: Sequence[int]) -> dict[int, DecodedFrame]:
        found: dict[int, DecodedFrame] = {}
        while len(self._table) <= wanted[-1] and (step := next(self._stamped, None)):
            (pts, frame), index = step, len(self._table)
            again = index in self._again
            decoded = self._upright(frame, pts) if again or index in wanted else None
            self._table.add(frame.pts, pts, decoded.pixels if decoded and again else None)
            if decoded and index in wanted:
                found[index] = decoded
        return found


def _block(order: Sequence[int], place: int) -> list[int]:
    """Distinct indices, rising: the one at that place, and the falling run from there."""
    block = [order[place]]
    for before, index in pairwise(order[place : place + _SPAN]):
        if index > before or index <= block[0] - _SPAN or len(block) == _BLOCK:
            break
        if index < before:
            block.append(index)
    return block[::-1]


def _wanted_again(order: Sequence[int]) -> frozenset[int]:
    """Indices that are needed again after decoding has passed them."""
    again, furthest = set(), -1
    for place, index in enumerate(order):
        if index <= furthest and index != order[place - 1]:
            again.add(index)
        furthest = max(furthest, index)
    return frozenset(again)
