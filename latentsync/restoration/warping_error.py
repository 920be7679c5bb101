"""Warping error (E_warp): how far neighbouring frames differ that optical flow has aligned.

As of Lai et al. 2018 (arXiv 1808.00449): the flow is that of the source, never of the result, so
that flicker which a restorer adds is not mistaken for motion.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import cv2
import numpy as np
import torch

SCALE = 1000.0
"""E*warp, the figure that is usually published, is this many times the mean squared error."""

_SMALLEST = 16  # pixels: DIS matches patches of 8 on a pyramid

# Lai et al.: squared length of forward plus backward flow, and of the flow's gradient, above which
# a pixel counts as occluded, each as a share of the squared flow and a constant [pixels squared].
_ROUND_TRIP = (0.01, 0.5)
_MOTION_EDGE = (0.01, 0.002)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """From one frame to the next. flow: (h, w, 2) float32, x and y [pixels], at the pixels of the
    first one. visible: (h, w) bool, the pixels that the next frame shows, too."""

    flow: np.ndarray
    visible: np.ndarray


def motion(before: np.ndarray, after: np.ndarray) -> Motion:
    """before, after: (h, w, 3) float32 RGB [0, 1], at least 16 pixels each way."""
    lumas = [np.rint(_luma(image) * 255).clip(0, 255).astype(np.uint8) for image in (before, after)]
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, backward = estimator.calc(*lumas, None), estimator.calc(*lumas[::-1], None)  # type: ignore[call-overload]
    return Motion(forward, ~_occluded(forward, backward))


def warping_error(before: np.ndarray, after: np.ndarray, moved: Motion, mask: np.ndarray) -> float:
    """E*warp of two neighbouring images, at visible pixels of the mask; nan where there is none.

    before, after: (h, w, 3) float32 RGB [0, 1]. moved: of the source. mask: (h, w) in [0, 1], the
    weight of each pixel of `before`.
    """
    weights = mask * moved.visible
    if not weights.any():
        return float("nan")
    squares = np.square(_warped(after, moved.flow) - before).mean(-1)
    return SCALE * float(np.average(squares, weights=weights))


def _warped(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """(h, w) or (h, w, c) -> the same, sampled at each pixel plus its flow."""
    height, width = flow.shape[:2]
    grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    mode, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    return cv2.remap(image, grid + flow, None, mode, borderMode=border)  # type: ignore[call-overload]


def _occluded(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(h, w, 2) flows -> (h, w) bool, at the pixels of the first frame."""
    back = _warped(backward, forward)
    both = np.square(forward).sum(-1) + np.square(back).sum(-1)
    apart = np.square(forward + back).sum(-1) > _ROUND_TRIP[0] * both + _ROUND_TRIP[1]
    slope = sum(np.square(np.diff(forward, axis=axis, append=0)).sum(-1) for axis in (0, 1))
    edge = slope > _MOTION_EDGE[0] * np.square(forward).sum(-1) + _MOTION_EDGE[1]
    return apart | edge


def _luma(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


EVERY = 16
"""Of so many neighbouring pairs of frames one is measured: 15 ms for a mouth of 170 pixels."""
MOST = (320, 512)
"""Rows and columns of the middle of a large mouth that are measured: 100 ms."""


@dataclass(frozen=True, slots=True)
class Flicker:
    """Sums over pairs of neighbouring frames, of the restorer's input (source) and result.

    pairs: how many. source, result: E*warp. contrast_source, contrast_result: mean squared gradient
    of the luma, [0, 1] per pixel.
    """

    pairs: int = 0
    source: float = 0.0
    result: float = 0.0
    contrast_source: float = 0.0
    contrast_result: float = 0.0

    def __add__(self, other: Flicker) -> Flicker:
        return Flicker(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def ratio(self) -> float:
        """How many times as much the result differs from frame to frame; nan: it is unknown."""
        return self.result / self.source if self.source else float("nan")

    @property
    def contrast_ratio(self) -> float:
        """Of the squared gradients: an image of twice the contrast differs four times as much."""
        known = self.contrast_source
        return self.contrast_result / known if known else float("nan")


def flicker_of_pair(
    source: tuple[np.ndarray, np.ndarray], result: tuple[np.ndarray, np.ndarray], mask: np.ndarray
) -> Flicker:
    """Of one pair. source, result: two (h, w, 3) float32 RGB [0, 1]. mask: (h, w) in [0, 1]."""
    moved = motion(*source)
    errors = [warping_error(first, then, moved, mask) for first, then in (source, result)]
    if np.isnan(errors[0]):
        return Flicker()
    contrasts = [contrast(images[1], mask) for images in (source, result)]
    return Flicker(1, *errors, *contrasts)


class FlickerMeter:
    """Sums the flicker of every EVERY-th pair of a track's neighbouring frames.

    tracks: by track.
    """

    def __init__(self) -> None:
        self.tracks: dict[int, Flicker] = {}
        self._track = 0
        self._mask = np.empty((0, 0), np.float32)
        self._part = _middle(self._mask.shape)
        self._before: tuple[int, np.ndarray, np.ndarray] | None = None

    def enter(self, track: int, mask: np.ndarray) -> None:
        """Starts a track, or goes on with it. mask: (h, w) in [0, 1] of its mouths."""
        self._track, self._before = track, None
        self._part = _middle(mask.shape)
        self._mask = mask[self._part]

    def __call__(self, number: int, source: torch.Tensor, change: torch.Tensor) -> None:
        """number: of the frame. source: (3, h, w) float RGB [-1, 1], its mouth. change: the same
        shape, what is added to it under the mask."""
        if number % EVERY > 1 or min(self._mask.shape) < _SMALLEST:
            return
        source, change = source[:, *self._part], change[:, *self._part]
        images = _image(source), _image(source + change * torch.from_numpy(self._mask))
        before, self._before = self._before, (number, *images)
        if number % EVERY == 1 and before is not None and before[0] == number - 1:
            source_pair, result_pair = (before[1], images[0]), (before[2], images[1])
            measured = flicker_of_pair(source_pair, result_pair, self._mask)
            self.tracks[self._track] = self.tracks.get(self._track, Flicker()) + measured


def _middle(size: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns. size: (h, w) of a mouth."""
    kept = [min(side, most) for side, most in zip(size, MOST, strict=True)]
    rows, columns = ((side - some) // 2 for side, some in zip(size, kept, strict=True))
    return slice(rows, rows + kept[0]), slice(columns, columns + kept[1])


def _image(mouth: torch.Tensor) -> np.ndarray:
    """(3, h, w) [-1, 1] -> (h, w, 3) float32 [0, 1]."""
    return np.ascontiguousarray((mouth.clamp(-1, 1).permute(1, 2, 0).float() + 1) / 2)


def contrast(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean squared gradient of the luma. image: (h, w, 3) float32 RGB [0, 1]. mask: (h, w), the
    weight of each pixel."""
    down, across = np.gradient(_luma(image))
    return float(np.average(down**2 + across**2, weights=mask))
