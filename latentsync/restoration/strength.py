"""restore.strength: auto, which makes a restored mouth never crisper than its face.

A network restores every mouth to the sharpness of its training images. Of its change only as much
is added as brings the mouth's fine energy to what the same person's face supports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch

from latentsync.restoration.mouth_blur import FINE, TrackBlur
from latentsync.restoration.patch import PatchWindow
from latentsync.restoration.sharpness import LUMA

SAMPLES = 4
"""Mouths of a track that are restored to find its strength."""
TOLERANCE = 1.1
"""Fine energy after, over what the face supports, that is not visible as too sharp."""


@dataclass(slots=True, eq=False)
class MatchedStrengths:
    """Track -> the strength found for it, from samples of its mouths.

    samples: track -> (3, h, w) float RGB [-1, 1] each, as the restorer's input.
    """

    samples: dict[int, list[torch.Tensor]] = field(default_factory=dict)
    found: dict[int, float] = field(default_factory=dict)

    def of(
        self,
        track: int,
        blur: TrackBlur,
        residuals: Callable[[torch.Tensor], torch.Tensor],
        window: PatchWindow,
        scale: float,
    ) -> float:
        """In [0, 1]; computed once for each track.

        residuals: mouths (N, 3, h, w) -> what restoration adds, (N, 3, h', w') of window.shown.
        scale: patch pixels per frame pixel. 1.0 where there are no samples, or the track's blur is
        not known: nothing tells how sharp the mouth should be.
        """
        if track not in self.found:
            mouths = self.samples.get(track, [])
            self.found[track] = 1.0
            if mouths and not np.isnan(blur.left):
                batch = torch.stack(mouths)
                self.found[track] = matched_strength(
                    window.cut(batch), residuals(batch), window.mask, scale, TOLERANCE / blur.left
                )
        return self.found[track]


def matched_strength(
    mouths: torch.Tensor, changes: torch.Tensor, mask: np.ndarray, scale: float, goal: float
) -> float:
    """Share of the changes, in [0, 1], that multiplies the mouths' fine energy by ``goal``.

    mouths, changes: (N, 3, h, w) float RGB [-1, 1] and [-2, 2]. mask: (h, w) in [0, 1]. scale:
    patch pixels per frame pixel: fine is what is finer than FINE frame pixels. 1.0 where all of the
    changes raise the energy by less.
    """
    before, added = (_fine(images, scale) for images in (mouths, changes * torch.from_numpy(mask)))
    weight = _shrunk(mask, scale)
    energy, cross, square = (
        float((weight * product).sum())
        for product in (before * before, before * added, added * added)
    )
    if energy + 2 * cross + square <= goal * energy:
        return 1.0
    root = np.sqrt(max(cross**2 + square * energy * (goal - 1), 0.0))
    return float(np.clip((root - cross) / square, 0.0, 1.0))


def _fine(images: torch.Tensor, scale: float) -> np.ndarray:
    """(N, 3, h, w) -> (N, h', w') float32: luma finer than FINE frame pixels, at most at the
    frame's own scale, as finer detail is lost on the way to the frame."""
    lumas = np.einsum("nchw,c->nhw", images.cpu().float().numpy(), np.array(LUMA, np.float32))
    sigma = FINE * min(scale, 1.0)
    shrunk = [_shrunk(luma, scale) for luma in lumas]
    return np.stack([luma - cv2.GaussianBlur(luma, (0, 0), sigma) for luma in shrunk])


def _shrunk(plane: np.ndarray, scale: float) -> np.ndarray:
    if scale <= 1:
        return plane
    height, width = (max(1, round(side / scale)) for side in plane.shape)
    return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
