"""Sparing a restorer the mouths that have not changed: the change it made last serves again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

LONGEST = 12
"""Every frame whose number is a multiple of it is restored anew: a residual does not grow older,
and a film rendered in pieces agrees with the whole again after so many frames."""

LEVELS = 127.5  # of 8 bits in one unit of a patch
_WINDOW = 17  # patch pixels over which change is averaged: a lip's edge counts, a grain does not
_MOST_NOISE = 4.0  # levels: what changes everywhere by more than that is motion


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """One frame's, as the restorer would get it.

    number: of the frame. pixels: (3, h, w) float32 RGB [-1, 1] on the CPU. matrix: (2, 3), frame
    pixels -> patch pixels. at: another matrix -> the frame's pixels along that one.
    """

    number: int
    pixels: torch.Tensor
    matrix: np.ndarray
    at: Callable[[np.ndarray], torch.Tensor]


Change = tuple[torch.Tensor, np.ndarray]
"""What is added to a mouth, and the matrix from the frame to it."""


class ResidualReuse:
    """Runs a restorer on the mouths that are new, and lets the others have the last one's residual.

    threshold: levels of 8 bits; a mouth is new where mouth_change() against the one that the
    residual was made for lies above it. 0: all are new. That one is not always the one before: slow
    drift cannot add up. reused: mouths that were spared.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._mask = np.empty((0, 0), np.float32)
        self._source: Mouth | None = None
        self._residual = torch.empty(0)  # the source's: set before it is used, as the first is new
        self._number = -2
        self.reused = 0

    def enter(self, mask: np.ndarray) -> None:
        """A new track begins. mask: (h, w) in [0, 1] of its patches, 1 where change counts."""
        self._mask = mask
        self._source = None

    def __call__(
        self, mouths: Sequence[Mouth], residuals: Callable[[torch.Tensor], torch.Tensor]
    ) -> list[Change]:
        """A change for each mouth. mouths: of one track, the next ones; after a gap one is new.

        residuals: (n, 3, h, w), mouths -> (n, ...), a residual for each; called once, or not at all
        where none is new.
        """
        places = [self._place(mouth) for mouth in mouths]
        new = [mouth.pixels for mouth, place in zip(mouths, places, strict=True) if place is None]
        made = iter(residuals(torch.stack(new)) if new else ())
        changes = []
        for mouth, place in zip(mouths, places, strict=True):
            if place is None:
                self._residual = next(made)
            changes.append((self._residual, mouth.matrix if place is None else place))
        self.reused += len(mouths) - len(new)
        return changes

    def _place(self, mouth: Mouth) -> np.ndarray | None:
        """The matrix at which the last residual fits; None: the mouth is new, and the next source.

        Where the source's own place shows the same, nothing has moved, whatever the landmarks say;
        else the mouth may have moved with its face.
        """
        follows = mouth.number == self._number + 1 and mouth.number % LONGEST != 0
        self._number = mouth.number
        source = self._source
        if self._threshold and follows and source is not None:
            if self._fits(mouth.at(source.matrix), source):
                return source.matrix
            if self._fits(mouth.pixels, source):
                return mouth.matrix
        self._source = mouth
        return None

    def _fits(self, pixels: torch.Tensor, source: Mouth) -> bool:
        return mouth_change(pixels, source.pixels, self._mask) <= self._threshold


def mouth_change(now: torch.Tensor, then: torch.Tensor, mask: np.ndarray) -> float:
    """Levels of 8 bits: the largest local difference, r.m.s., beyond what differs everywhere.

    now, then: (3, h, w) float32 RGB [-1, 1] on the CPU, patches of one track. mask: (h, w); places
    above a half count. What differs everywhere is noise, or the codec: the median over the patch.
    """
    difference = ((now - then) * LEVELS).square().mean(0).numpy()
    local = cv2.blur(difference, (_WINDOW, _WINDOW))
    noise = min(float(np.median(local[::2, ::2])), _MOST_NOISE**2)
    counted = local[mask > 0.5]
    return float(np.sqrt(max(counted.max(initial=0.0) - noise, 0.0)))
