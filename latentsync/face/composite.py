"""Composites patches over a frame: the only place where new pixels meet the video's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from latentsync.tone import PER_LEVEL, from_levels, to_levels
from latentsync.types import Box, Change, Frame, Patch

HALF_RANGE = 127.5
"""Code values in one unit of a patch, which spans 2 from black to white."""
FINER = 1.2
"""Patch pixels per frame pixel above which a patch is low-pass filtered against aliasing."""
SOFTNESS = 0.18
"""Sigma of that filter, in frame pixels; it keeps 80 % of the frame's finest detail."""
RIM = 3
"""Layer pixels beyond all places that are sampled, repeated colours with mask 0: the reach of a
cubic. Nothing beyond the layer shows then; OpenCV takes five times as long for a place there."""

LARGE, STRIP = 300_000, 2**17
"""Pixels of a box above which it is composited in strips, and those of a strip: its planes stay in
the processor's cache. To get memory for those of a large box takes as long as the arithmetic."""


@dataclass(frozen=True, slots=True, eq=False)
class Composited:
    """pixels: (H, W, 3) RGB, of the frame's dtype. box: the part that may differ from the frame;
    None: nothing.

    changes: for each patch, the difference between the frame with the patches up to it and the
        frame with those below it.
    """

    pixels: np.ndarray
    box: Box | None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A patch cut down to where its mask is not 0, with a rim, and where that lies in the frame.

    colors: three planes (h, w) float32: R, G, B in units of the patch. Planes, as OpenCV's cubic
    takes a third of the time on them that it takes on interleaved bytes.
    mask: (h, w) float32. matrix: (2, 3) float64, frame pixels -> layer pixels.
    box: the part of the frame that it can change.
    """

    colors: Sequence[np.ndarray]
    mask: np.ndarray
    matrix: np.ndarray
    additive: bool
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A layer in a strip of the frame.

    pixels: number of those in the strip that it can change. box: the part of them where its mask is
    not 0, which may be empty. mask: (h, w) float32, of the box.
    """

    layer: _Layer
    pixels: int
    box: Box
    mask: np.ndarray


def composited(frame: Frame, patches: Sequence[Patch]) -> Composited:
    """Composites the patches over the frame.

    Patches are blended bottom first, each resampled once, all in float32; rounded once. Outside the
    masks the pixels are the frame's, bit for bit. Patches may reach beyond the frame.
    """
    layers = [_layer(patch, frame.pixels.shape[:2]) for patch in patches]
    shown = [layer for layer in layers if layer is not None]
    if not shown:
        return Composited(frame.pixels, None, (Change(),) * len(patches))
    box = reduce(Box.joined, (layer.box for layer in shown))
    out = frame.pixels.copy()
    strips = [_strip_laid(shown, strip, out, frame.transfer) for strip in _strips(box)]
    changes = map(_joined, zip(*strips, strict=True))
    return Composited(
        out, box, tuple(Change() if layer is None else next(changes) for layer in layers)
    )


def composite(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """Returns (H, W, 3) RGB: the pixels of composited()."""
    return composited(frame, patches).pixels


def _strips(box: Box) -> list[Box]:
    """The box in one piece, or a large one from top to bottom."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    rows = height if width * height <= LARGE else max(1, STRIP // width)
    edges = [*range(box.y0, box.y1, rows), box.y1]
    return [Box(box.x0, top, box.x1, bottom) for top, bottom in pairwise(edges)]


def _strip_laid(
    layers: Sequence[_Layer], strip: Box, out: np.ndarray, transfer: str
) -> list[tuple[Change, int]]:
    """Lays them on a strip of the frame -> of each the change, and the number of its pixels."""
    placed = [_placed(layer, strip) for layer in layers]
    boxes = [one.box for one in placed if not one.box.empty]
    if not boxes:
        return [(Change(), one.pixels) for one in placed]
    box = reduce(Box.joined, boxes)
    canvas = _canvas(_part(out, box), transfer)
    return [(_laid(one, canvas, box, out), one.pixels) for one in placed]


def _placed(layer: _Layer, strip: Box) -> _Placed:
    box = layer.box.common(strip)
    if box.empty:
        return _Placed(layer, 0, box, np.empty((0, 0), np.float32))
    mask = _warped(layer, layer.mask, box, cv2.INTER_LINEAR)
    x, y, width, height = cv2.boundingRect((mask != 0).view(np.uint8))
    # Not from column x on: OpenCV rounds places by the distance from the first column.
    shown = Box(box.x0, box.y0 + y, box.x0 + x + width, box.y0 + y + height)
    return _Placed(layer, mask.size, shown, mask[y : y + height, : x + width])


def _joined(strips: Sequence[tuple[Change, int]]) -> Change:
    """The change of a layer, of its changes on the strips that it reaches."""
    changes, pixels = zip(*strips, strict=True)
    if len(changes) == 1 or not any(pixels):
        return changes[0]
    mean = float(np.average([one.mean for one in changes], weights=pixels))
    return Change(max(one.largest for one in changes), mean)


class _Canvas(Protocol):
    """The part of a frame that patches are laid on. unit: its code values in one of 8 bits."""

    @property
    def planes(self) -> Sequence[NDArray[np.float32]]:
        """R, G, B: 8-bit code values of the SDR view, not rounded; changed in place."""
        ...

    @property
    def unit(self) -> float: ...

    def pixels(self, place: Box) -> np.ndarray:
        """(h, w, 3) of that part of the canvas, rounded: the frame's, where nothing was laid."""
        ...


def _canvas(part: np.ndarray, transfer: str) -> _Canvas:
    return _PlainCanvas(part) if part.dtype == np.uint8 else _DeepCanvas(part, transfer)


class _PlainCanvas:
    """Of a frame of 8 bits."""

    unit = 1.0

    def __init__(self, part: np.ndarray) -> None:
        self.planes = [plane.astype(np.float32) for plane in cv2.split(part)]

    def pixels(self, place: Box) -> np.ndarray:
        parts = [_part(plane, place) for plane in self.planes]
        # Rounds, and clips.
        return cv2.merge([cv2.addWeighted(one, 1, one, 0, 0, dtype=cv2.CV_8U) for one in parts])


class _DeepCanvas:
    """Of a frame of 16 bits: what was laid on the SDR view is added in the frame's own coding.

    So a pixel on which nothing was laid stays as it is, whatever the curve and its inverse round.
    """

    unit = float(PER_LEVEL)

    def __init__(self, part: np.ndarray, transfer: str) -> None:
        self._transfer = transfer
        below = cv2.split(part)
        self.planes = [to_levels(plane, transfer) for plane in below]
        self._rest = [  # of the frame, beside what the inverse gives for its view
            plane - from_levels(levels, transfer)
            for plane, levels in zip(below, self.planes, strict=True)
        ]

    def pixels(self, place: Box) -> np.ndarray:
        made = [
            cv2.add(
                from_levels(_part(plane, place), self._transfer),
                _part(rest, place),
                dtype=cv2.CV_16U,  # rounds, and clips
            )
            for plane, rest in zip(self.planes, self._rest, strict=True)
        ]
        return cv2.merge(made)


def _laid(one: _Placed, canvas: _Canvas, box: Box, out: np.ndarray) -> Change:
    """Blends the layer into canvas and writes the rounded result to out -> the change.

    canvas: of the frame's box. out: (H, W, 3), the frame so far.
    """
    if one.box.empty:
        return Change()
    x, y, inner = box.x0, box.y0, one.box
    place = Box(inner.x0 - x, inner.y0 - y, inner.x1 - x, inner.y1 - y)
    _lay(one, [_part(plane, place) for plane in canvas.planes])
    before, after = _part(out, inner), canvas.pixels(place)
    largest = cv2.norm(before, after, cv2.NORM_INF) / canvas.unit
    mean = cv2.norm(before, after, cv2.NORM_L1) / (3 * one.pixels * canvas.unit)
    before[...] = after
    return Change(math.ceil(largest), mean)  # 0 only if nothing was changed


def _part(pixels: np.ndarray, box: Box) -> np.ndarray:
    return pixels[box.y0 : box.y1, box.x0 : box.x1]


def _layer(patch: Patch, frame_size: tuple[int, int]) -> _Layer | None:
    left, top, width, height = cv2.boundingRect((patch.mask != 0).view(np.uint8))
    corner = np.array([[0, 0, left], [0, 0, top]])
    matrix = patch.matrix.astype(np.float64) - corner
    box = _reach(matrix, (width, height), frame_size)
    if not width or box.empty:
        return None
    rows, columns = slice(top, top + height), slice(left, left + width)
    colors = patch.pixels.detach()[:, rows, columns].float().cpu().numpy()
    mask = patch.mask[rows, columns].astype(np.float32, copy=False)
    *planes, mask = _softened([*colors, mask], matrix)
    rim = _rim(matrix, (width, height), box)
    rimmed = [_rimmed(plane, rim, cv2.BORDER_REPLICATE) for plane in planes]
    mask = _rimmed(mask, rim, cv2.BORDER_CONSTANT)
    matrix[:, 2] += rim
    return _Layer(rimmed, mask, matrix, patch.additive, box)


def _softened(planes: Sequence[np.ndarray], matrix: np.ndarray) -> Sequence[np.ndarray]:
    """Low-pass filters pixels and mask of a layer that is finer than the frame."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale <= FINER:
        return planes
    return [cv2.GaussianBlur(plane, (0, 0), SOFTNESS * scale) for plane in planes]


def _rim(matrix: np.ndarray, size: tuple[int, int], box: Box) -> tuple[int, int]:
    """Columns and rows to add on each side, so that no pixel of the box lies beyond the layer."""
    corners = [[x, y, 1] for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
    places = np.array(corners, np.float64) @ matrix.T
    beyond = np.maximum(-places.min(axis=0), places.max(axis=0) - size)
    across, down = np.ceil(np.maximum(beyond, 0)).astype(int) + RIM
    return int(across), int(down)


def _rimmed(plane: np.ndarray, rim: tuple[int, int], border: int) -> np.ndarray:
    across, down = rim
    return cv2.copyMakeBorder(plane, down, down, across, across, border, value=0)


def _reach(matrix: np.ndarray, size: tuple[int, int], frame_size: tuple[int, int]) -> Box:
    """The frame's pixels that a mask of size (w, h) can change: up to two pixels beyond it."""
    right, bottom = size[0] + 1, size[1] + 1
    corners = np.array([[-2, -2], [right, -2], [-2, bottom], [right, bottom]], np.float64)
    back = cv2.invertAffineTransform(matrix)
    points = corners @ back[:, :2].T + back[:, 2]
    low = np.maximum(np.floor(points.min(axis=0)), 0)
    high = np.minimum(np.ceil(points.max(axis=0)) + 1, frame_size[::-1])
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _lay(one: _Placed, below: Sequence[np.ndarray]) -> None:
    """below: the three planes of the frame's box, float32, code values; changed in place."""
    layer = one.layer
    for source, plane in zip(layer.colors, below, strict=True):
        # Linear keeps 60 % of the finest detail.
        change = _warped(layer, source, one.box, cv2.INTER_CUBIC)
        change *= HALF_RANGE
        if not layer.additive:
            change += HALF_RANGE
            change -= plane
        change *= one.mask
        plane += change


def _warped(layer: _Layer, plane: np.ndarray, box: Box, how: int) -> NDArray[np.float32]:
    """(h, w): a plane of the layer, in that part of the frame."""
    matrix = layer.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [box.x0, box.y0]
    size = box.x1 - box.x0, box.y1 - box.y0
    warped = cv2.warpAffine(plane, matrix, size, flags=how | cv2.WARP_INVERSE_MAP)
    return np.asarray(warped, np.float32)
