"""Temporal state of the restoration: reuse on unchanged mouths, and smoothing against flicker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from latentsync.types import Box

LONGEST = 12
"""Every frame whose number is a multiple of this is restored again, which limits a residual's age,
and a video rendered in segments agrees with the whole after this many frames."""

CODE_VALUES = 127.5  # in one unit of a patch
_NEW_WINDOW = 17  # patch pixels over which change is averaged: a lip's edge counts, grain does not
_NEW_NOISE = 4.0  # code values: change of the whole patch above this is motion, not noise

# Local change of the source, over its noise, that halves the weight of the past; units of [-1, 1],
# some three 8-bit code values. A lip's edge that moves by a pixel changes by ten and more.
_STILL_MOTION = 0.025
_STILL_NOISE = 0.03  # the same unit: change of the whole patch above this is motion, not noise
_STILL_WINDOW = 9  # patch pixels, over which change is averaged
_SMALLEST = 16  # patch pixels on each side; the optical flow needs as many


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """The restorer's input for one frame.

    number: of the frame. pixels: (3, h, w) float32 RGB [-1, 1] on the CPU. matrix: (2, 3), frame
    pixels -> patch pixels. at: another matrix -> the frame's pixels sampled with it. first: whether
    the frame before is another track's, or is not restored.
    """

    number: int
    pixels: torch.Tensor
    matrix: np.ndarray
    at: Callable[[np.ndarray], torch.Tensor]
    first: bool = False


Residual = tuple[torch.Tensor, np.ndarray]
"""A residual, and the matrix from the frame to it."""


class ResidualReuse:
    """Runs a restorer on new mouths; unchanged mouths reuse the last residual.

    threshold: 8-bit code values; a mouth is new where its mouth_change() to the source of the
    residual exceeds it. 0: all are new. The source may be several frames old, so that slow drift
    does not accumulate. reused: number of unchanged mouths.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._mask = np.empty((0, 0), np.float32)
        self._source: Mouth | None = None
        self._residual = torch.empty(0)  # the source's: set before it is used, as the first is new
        self._number = -2
        self.reused = 0

    def enter(self, mask: np.ndarray) -> None:
        """Starts a new track. mask: (h, w) in [0, 1] of its patches, 1 where change counts."""
        self._mask = mask
        self._source = None

    def __call__(
        self, mouths: Sequence[Mouth], residuals: Callable[[Sequence[Mouth]], torch.Tensor]
    ) -> list[Residual]:
        """A change for each mouth. mouths: the next ones of one track; a mouth after a gap is new.

        residuals: n mouths -> residuals (n, ...); called once, or not at all where no mouth is new.
        """
        places = [self._place(mouth) for mouth in mouths]
        new = [mouth for mouth, place in zip(mouths, places, strict=True) if place is None]
        made = iter(residuals(new) if new else ())
        changes = []
        for mouth, place in zip(mouths, places, strict=True):
            if place is None:
                self._residual = next(made)
            changes.append((self._residual, mouth.matrix if place is None else place))
        self.reused += len(mouths) - len(new)
        return changes

    def _place(self, mouth: Mouth) -> np.ndarray | None:
        """The matrix at which the last residual fits; None: the mouth is new, the next source.

        If the frame is unchanged at the source's matrix, nothing has moved, even where landmarks
        jitter; else the mouth may have moved with the face.
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
    """The largest local r.m.s. difference above the noise, in 8-bit code values.

    now, then: (3, h, w) float32 RGB [-1, 1] on the CPU, patches of one track. mask: (h, w); pixels
    above 0.5 count. The noise, also that of the codec, is the median over the patch.
    """
    difference = ((now - then) * CODE_VALUES).square().mean(0).numpy()
    local = cv2.blur(difference, (_NEW_WINDOW, _NEW_WINDOW))
    noise = min(float(np.median(local[::2, ::2])), _NEW_NOISE**2)
    counted = local[mask > 0.5]
    return float(np.sqrt(max(counted.max(initial=0.0) - noise, 0.0)))


class ResidualSmoother:
    """Exponential average of a track's residuals, which follows the source's optical flow.

    Where the flow does not explain the change of the source, the past does not count. Frames must
    come in order. beta: weight of the past, in [0, 1); 0 switches it off. The variance of flicker
    on still content falls to (1 - beta) / (1 + beta).
    """

    def __init__(self, beta: float) -> None:
        if not 0 <= beta < 1:
            raise ValueError(f"beta must lie in [0, 1), not {beta}")
        self._beta = beta
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.reset()

    def reset(self) -> None:
        """Clears the average: to be called at a cut, and where frames are missing."""
        self._average: torch.Tensor | None = None
        self._previous: torch.Tensor | None = None

    @torch.no_grad()
    def __call__(
        self, residual: torch.Tensor, source: torch.Tensor, part: Box | None = None
    ) -> torch.Tensor:
        """residual, source: (3, h, w) float, units of [-1, 1], the next frame's -> (3, h, w).

        part: of the source that the residual covers; None: all.
        """
        if self._beta == 0:
            return residual
        luma, before, average = source.mean(0), self._previous, self._average
        if average is None or before is None or before.shape != luma.shape:
            average = residual
        else:
            part = part or Box(0, 0, *luma.shape[::-1])
            came_from = self._came_from(luma, before)
            still = _stillness(luma - sampled(before[None], came_from)[0])
            past = self._beta * still[part.y0 : part.y1, part.x0 : part.x1]
            offset = np.array([part.x0, part.y0], np.float32)
            places = came_from[part.y0 : part.y1, part.x0 : part.x1] - offset
            average = past * sampled(average, places) + (1 - past) * residual
        self._average, self._previous = average, luma
        return average

    def _came_from(self, luma: torch.Tensor, before: torch.Tensor) -> np.ndarray:
        """(h, w) each, [-1, 1] -> (h, w, 2) float32, x and y in the frame before."""
        height, width = luma.shape
        places = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
        if min(height, width) < _SMALLEST:
            return places
        now, then = (_code_values(image) for image in (luma, before))
        return places + self._flow.calc(now, then, None)  # type: ignore[call-overload]


def sampled(image: torch.Tensor, places: np.ndarray) -> torch.Tensor:
    """(c, h, w) float, on the CPU -> the same shape, its values at places (h, w, 2), x and y.

    Cubic, as repeated linear interpolation would blur an average.
    """
    values = np.ascontiguousarray(image.permute(1, 2, 0).float().numpy())
    mode, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    moved = cv2.remap(values, places, None, mode, borderMode=border)  # type: ignore[call-overload]
    return torch.from_numpy(moved.reshape(values.shape)).permute(2, 0, 1)


def _code_values(luma: torch.Tensor) -> np.ndarray:
    return ((luma + 1) * CODE_VALUES).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()


def _stillness(change: torch.Tensor) -> torch.Tensor:
    """change: (h, w), source minus the source before along the flow -> (h, w) in [0, 1], 1 where
    the flow explains all.

    The noise is the median change over the patch, as a mouth moves only locally.
    """
    local = functional.avg_pool2d(
        (change**2)[None],
        _STILL_WINDOW,
        stride=1,
        padding=_STILL_WINDOW // 2,
        count_include_pad=False,
    )[0]
    noise = local.median().clamp_max(_STILL_NOISE**2)
    moved = (local - noise).clamp_min(0)
    return 1 / (1 + (moved / _STILL_MOTION**2) ** 2)
