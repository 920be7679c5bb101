"""Which chunks share frames, and which of them have to be denoised for some of the frames.

A chunk's own frames are those with its number in the plan. It is denoised with its own frames and
the first ``overlap`` ones of the next chunk of the same run. The chunks of a run are in turn
anchors and bridges; see generate.diffusion.overlap. An anchor determines the frames that it does
not share, a bridge all that it is denoised with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from latentsync.pipeline.planning.plan import RenderPlan


@dataclass(frozen=True, slots=True)
class LinkedChunk:
    """own, span: half-open ranges of output frames: with its number, and that it is denoised with.

    determined: the frames whose mouths it determines; those that a bridge determines are left out.
    before, after: numbers of the neighbours that it shares frames with; None: it shares none there.
    anchor: whether it is denoised alone; else it is a bridge, which needs its neighbours first.
    """

    own: tuple[int, int]
    span: tuple[int, int]
    determined: tuple[int, int]
    before: int | None
    after: int | None
    anchor: bool

    @property
    def neighbours(self) -> list[int]:
        return [number for number in (self.before, self.after) if number is not None]


def linked_chunks(
    spans: Mapping[int, tuple[int, int]], track: np.ndarray, jumps: np.ndarray, *, overlap: int
) -> dict[int, LinkedChunk]:
    """By number. spans: of each chunk's own frames, in order. track, jumps: (N,), see RenderPlan.

    Neighbours that show one track without a gap or a jump share frames; see timeline.chunks.
    """

    def shares(number: int) -> bool:
        """Whether the chunk shares frames with the next one."""
        if not overlap or number + 1 not in spans:
            return False
        end = spans[number][1]
        same = spans[number + 1][0] == end and track[end - 1] == track[end]
        return bool(same and not jumps[end])

    linked: dict[int, LinkedChunk] = {}
    for number, (first, last) in spans.items():
        before = linked.get(number - 1)
        follows = before is not None and before.after == number
        after = shares(number)
        anchor = not (before is not None and follows and before.anchor)
        span = first, last + overlap * after
        linked[number] = LinkedChunk(
            own=(first, last),
            span=span,
            determined=(first + overlap * follows, last) if anchor else span,
            before=number - 1 if follows else None,
            after=number + 1 if after else None,
            anchor=anchor,
        )
    return linked


def to_denoise(linked: Mapping[int, LinkedChunk], numbers: Collection[int]) -> set[int]:
    """The chunks that have to be denoised for the own frames of these chunks: those that determine
    the frames, and the anchors beside the bridges among them. Without overlap: the same numbers."""
    determining = set(numbers)
    for number in numbers:
        before = linked[number].before
        if linked[number].anchor and before is not None:
            determining.add(before)
    bridges = [linked[number] for number in determining if not linked[number].anchor]
    return determining.union(*(bridge.neighbours for bridge in bridges))


def with_lead_in(plan: RenderPlan, indices: np.ndarray) -> np.ndarray:
    """The output frames that the stages have to read for these ones, rising: they, and all that
    the chunks are denoised with. indices: rising; all frames of each chunk."""
    if not plan.overlap:
        return indices
    linked, numbers = plan.linked_chunks(), np.unique(plan.chunk[indices])
    chunks = to_denoise(linked, numbers[numbers >= 0].tolist())
    spans = [np.arange(*linked[number].span) for number in chunks]
    return np.unique(np.concatenate([indices, *spans]))


def due_after(linked: Mapping[int, LinkedChunk], numbers: Collection[int]) -> dict[int, list[int]]:
    """Output frame -> those of these chunks that can be denoised once it is read, in order.

    Chunks that are read are denoised at once, but for a bridge, which waits for both its anchors.
    """
    due: dict[int, list[int]] = {}
    for number in sorted(numbers, key=lambda number: (not linked[number].anchor, number)):
        one = linked[number]
        last = one if one.anchor or one.after is None else linked[one.after]
        due.setdefault(last.span[1] - 1, []).append(number)
    return due
