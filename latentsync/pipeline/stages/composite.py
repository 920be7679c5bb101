"""Pass 2, the end: patches are laid over their frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from latentsync.face.composite import composited
from latentsync.types import Box, Frame, Patch, PatchedFrame

Paste = Callable[[PatchedFrame, Patch], np.ndarray]
"""Lays a generated face over its frame in another way than composited(): (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """An output frame: index, from 0; as it was and as it has become.

    changed: the part that may differ; None: nothing. restored: the largest difference [8-bit code
    values] that the restoration made to what lies below it; 0: it changed no pixel.
    """

    index: int
    before: Frame
    after: Frame
    changed: Box | None
    restored: int


def render(patched: PatchedFrame, paste: Paste | None = None) -> Rendered:
    """The frame with its patches laid over it, inside each patch's bounding box only.

    What is additive restores what lies below. paste: for the patches that are not.
    """
    frame, patches = patched.frame, patched.patches
    below, box = frame, None
    if paste is not None and patches and not patches[0].additive:
        below, patches = replace(frame, pixels=paste(patched, patches[0])), patches[1:]
        box = composited(frame, patched.patches[:1]).box
    made = composited(below, patches)
    changes = zip(patches, made.changes, strict=True)
    restored = max((change for patch, change in changes if patch.additive), default=0)
    after = replace(frame, pixels=made.pixels)
    return Rendered(patched.index, frame, after, _joined(box, made.box), restored)


def side_by_side(before: Frame, after: Frame) -> Frame:
    """(H, W, 3) twice -> (H, 2 W, 3): before | after."""
    return replace(after, pixels=np.concatenate([before.pixels, after.pixels], axis=1))


def _joined(one: Box | None, other: Box | None) -> Box | None:
    if one is None or other is None:
        return one or other
    return one.joined(other)
