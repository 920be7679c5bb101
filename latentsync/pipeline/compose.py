"""Pass 2, the end: patches are laid over their frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from latentsync.face import upstream
from latentsync.face.align import UPSTREAM_RESOLUTION
from latentsync.face.composite import composite
from latentsync.types import Alignment, Frame, PatchedFrame


def compose(patched: PatchedFrame) -> Frame:
    """The frame with its patches laid over it, inside each patch's bounding box only."""
    frame = patched.frame
    return replace(frame, pixels=composite(frame, patched.patches))


def compose_upstream(patched: PatchedFrame, alignment: Alignment | None) -> Frame:
    """The same content pasted as LatentSync does: the whole aligned crop, its edge feathered.

    Resamples the upper face as well, and is slow: a baseline to compare with.
    """
    if alignment is None or not patched.patches:
        return patched.frame
    crop = upstream.warp_crop(compose(patched).pixels, alignment.matrix, UPSTREAM_RESOLUTION)
    square = upstream.square_face(crop, UPSTREAM_RESOLUTION)
    face = torch.from_numpy(square).permute(2, 0, 1).float() / 127.5 - 1
    pixels = upstream.paste(patched.frame.pixels, face, alignment.matrix)
    return replace(patched.frame, pixels=pixels)


def side_by_side(before: Frame, after: Frame) -> Frame:
    """(H, W, 3) twice -> (H, 2 W, 3): before | after."""
    return replace(after, pixels=np.concatenate([before.pixels, after.pixels], axis=1))
