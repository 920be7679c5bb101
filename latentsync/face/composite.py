"""Laying patches over a frame: the only place where new pixels meet the film's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from latentsync.types import Box, Frame, Patch

HALF_RANGE = 127.5
"""Levels of the frame in one unit of a patch, whose way from black to white is 2."""
FINER = 1.2
"""Patch pixels for one frame pixel from which on what lies between them would alias."""
SOFTNESS = 0.18
"""Sigma, in frame pixels, that keeps it out; the finest detail of the frame keeps 4 parts of 5."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A patch cut down to where its mask is not 0, with a rim.

    planes: (4, h, w) float32: R, G, B in levels of the frame, and the mask. Planes throughout:
    arithmetic on interleaved pixels took three times as long.
    matrix: (2, 3) float64, frame pixels -> layer pixels.
    """

    planes: np.ndarray
    matrix: np.ndarray
    additive: bool


def composite(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """Returns (H, W, 3) uint8 RGB: a new array, or the frame's own pixels where no patch shows.

    Patches are laid bottom first, each resampled once, all in float32; rounded once. Where no mask
    reaches, pixels are the frame's own, bit for bit. Patches may reach beyond the frame.
    """
    layers = [layer for patch in patches if (layer := _layer(patch)) is not None]
    placed = [(layer, _reach(layer, frame.pixels.shape[:2])) for layer in layers]
    placed = [(layer, box) for layer, box in placed if not box.empty]
    if not placed:
        return frame.pixels
    union = reduce(Box.joined, (box for _, box in placed))
    out = frame.pixels.copy()
    place = out[union.y0 : union.y1, union.x0 : union.x1]
    canvas = [plane.astype(np.float32) for plane in cv2.split(place)]
    for layer, box in placed:
        rows = slice(box.y0 - union.y0, box.y1 - union.y0)
        columns = slice(box.x0 - union.x0, box.x1 - union.x0)
        _lay(layer, box, [plane[rows, columns] for plane in canvas])
    place[...] = cv2.merge([np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in canvas])
    return out


def touched(frame: Frame, patches: Sequence[Patch]) -> Box | None:
    """The part of the frame that composite() changes at most; None: nothing."""
    layers = [layer for patch in patches if (layer := _layer(patch)) is not None]
    reaches = [_reach(layer, frame.pixels.shape[:2]) for layer in layers]
    boxes = [box for box in reaches if not box.empty]
    return reduce(Box.joined, boxes) if boxes else None


def _layer(patch: Patch) -> _Layer | None:
    rows, columns = np.flatnonzero(patch.mask.any(axis=1)), np.flatnonzero(patch.mask.any(axis=0))
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    inside = patch.pixels.detach()[:, top:bottom, left:right].float().cpu().numpy()
    levels = inside * HALF_RANGE + (0 if patch.additive else HALF_RANGE)
    mask = patch.mask[top:bottom, left:right].astype(np.float32)
    matrix = patch.matrix.astype(np.float64) - np.array([[0, 0, left], [0, 0, top]])
    planes = np.concatenate([levels, mask[None]])
    return _rimmed(_softened(_Layer(planes, matrix, patch.additive)))


def _softened(layer: _Layer) -> _Layer:
    """A layer finer than the frame loses what the frame cannot hold, its mask as its pixels."""
    scale = float(np.sqrt(abs(np.linalg.det(layer.matrix[:, :2]))))
    if scale <= FINER:
        return layer
    sigma = SOFTNESS * scale
    planes = [cv2.GaussianBlur(plane, (0, 0), sigma) for plane in layer.planes]
    return _Layer(np.stack(planes), layer.matrix, layer.additive)


def _rimmed(layer: _Layer) -> _Layer:
    """One pixel more on each side, where the colours go on and the mask ends."""
    rim = ((0, 0), (1, 1), (1, 1))
    colors, mask = np.pad(layer.planes[:3], rim, mode="edge"), np.pad(layer.planes[3:], rim)
    matrix = layer.matrix + np.array([[0, 0, 1], [0, 0, 1]])
    return _Layer(np.concatenate([colors, mask]), matrix, layer.additive)


def _reach(layer: _Layer, frame_size: tuple[int, int]) -> Box:
    """The frame's pixels that the layer can touch: up to one layer pixel beyond its border."""
    height, width = layer.planes.shape[1:]
    corners = np.array([[-1, -1], [width, -1], [-1, height], [width, height]], np.float64)
    back = cv2.invertAffineTransform(layer.matrix)
    points = corners @ back[:, :2].T + back[:, 2]
    low = np.maximum(np.floor(points.min(axis=0)), 0)
    high = np.minimum(np.ceil(points.max(axis=0)) + 1, frame_size[::-1])
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _lay(layer: _Layer, box: Box, below: Sequence[np.ndarray]) -> None:
    """below: the three planes of the frame's box, float32; changed in place."""
    size = box.x1 - box.x0, box.y1 - box.y0
    matrix = layer.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [box.x0, box.y0]
    mask = cv2.warpAffine(
        layer.planes[3], matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    for source, plane in zip(layer.planes[:3], below, strict=True):
        color = cv2.warpAffine(
            source,
            matrix,
            size,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,  # linear takes 40 % of the finest detail
            borderMode=cv2.BORDER_REPLICATE,
        )
        change = color if layer.additive else color - plane
        change *= mask
        plane += change
