"""Pass 2, compositing: lays patches over their frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from latentsync.face.composite import composited
from latentsync.types import Box, Change, Frame, PatchedFrame


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """An output frame before and after; index, from 0.

    changed: the part that may differ; None: nothing. generated, restored: track -> the change by
    its generated mouth, and by the restoration.
    """

    index: int
    before: Frame
    after: Frame
    changed: Box | None
    generated: Mapping[int, Change]
    restored: Mapping[int, Change]

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        both = self.before.pixels is not self.after.pixels
        return self.after.nbytes + (self.before.nbytes if both else 0)


def render(patched: PatchedFrame) -> Rendered:
    """The frame with its patches laid over it, inside each patch's bounding box only.

    Additive patches are those of the restoration.
    """
    frame, patches = patched.frame, patched.patches
    made = composited(frame, patches)
    generated, restored = (
        {
            patch.track: change
            for patch, change in zip(patches, made.changes, strict=True)
            if patch.additive == additive
        }
        for additive in (False, True)
    )
    after = replace(frame, pixels=made.pixels)
    return Rendered(patched.index, frame, after, made.box, generated, restored)


def side_by_side(before: Frame, after: Frame) -> Frame:
    """(H, W, 3) twice -> (H, 2 W, 3): before | after."""
    pixels = np.concatenate([before.pixels, after.pixels], axis=1)
    alpha = before.alpha
    if alpha is not None:
        alpha = np.concatenate([alpha, alpha], axis=1)
    return replace(after, pixels=pixels, alpha=alpha)
