"""Pass 2, the end: patches are laid over their frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from latentsync.face import upstream
from latentsync.face.align import UPSTREAM_RESOLUTION
from latentsync.face.composite import composited
from latentsync.types import Alignment, Box, Frame, PatchedFrame


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """A frame as it has become. changed: the part that may differ from before; None: nothing."""

    frame: Frame
    changed: Box | None


def compose(patched: PatchedFrame) -> Composed:
    """The frame with its patches laid over it, inside each patch's bounding box only."""
    made = composited(patched.frame, patched.patches)
    return Composed(replace(patched.frame, pixels=made.pixels), made.box)


def compose_upstream(patched: PatchedFrame, alignment: Alignment | None) -> Composed:
    """The same content pasted as LatentSync does: the whole aligned crop, its edge feathered.

    Resamples the upper face as well, and is slow: a baseline to compare with. changed: of the
    patches alone, as they are what is new.
    """
    if alignment is None or not patched.patches:
        return Composed(patched.frame, None)
    made = compose(patched)
    crop = upstream.warp_crop(made.frame.pixels, alignment.matrix, UPSTREAM_RESOLUTION)
    square = upstream.square_face(crop, UPSTREAM_RESOLUTION)
    face = torch.from_numpy(square).permute(2, 0, 1).float() / 127.5 - 1
    pixels = upstream.paste(patched.frame.pixels, face, alignment.matrix)
    return Composed(replace(patched.frame, pixels=pixels), made.changed)


def side_by_side(before: Frame, after: Frame) -> Frame:
    """(H, W, 3) twice -> (H, 2 W, 3): before | after."""
    return replace(after, pixels=np.concatenate([before.pixels, after.pixels], axis=1))
