"""Flicker of the mouth: whether its sharpness jumps from frame to frame, and its warping error.

A mouth that moves changes its fine detail little by little; one that is generated or restored frame
by frame has more in one frame and less in the next. That needs no source, nor any flow. The warping
error (see restoration.warping_error) is what the field publishes; a mouth that speaks other words
than the source moves otherwise, and so has another error without flickering.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from latentsync.evaluate.crops import FaceCrops
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.statistics import Measured
from latentsync.face.masks import region_mask
from latentsync.geometry import part_of
from latentsync.restoration.warping_error import contrast, motion, warping_error
from latentsync.types import Box

_FINE = 1.5  # pixels, sigma: what a Gaussian of it takes away of the luma is fine detail
_NOISE = 0.5  # code values squared: what is below it is not seen
_EVERY = 3
"""Of so many pairs of neighbouring frames the warping error of one is measured: it takes longest.
Not a multiple of 2: what jumps every other frame, or every two, is not missed."""
_MOST = (160, 240)  # rows and columns of the middle of a large mouth, whose flow is measured
_LEAST = 16  # pixels: optical flow needs as many each way


def _jump(rows: np.ndarray) -> float:
    """rows: (K, 1), changes of the logarithm of fine energy -> per cent of its amplitude."""
    return float(100 * np.expm1(np.median(rows) / 2)) if len(rows) else float("nan")


def _error_by_contrast(rows: np.ndarray) -> float:
    """rows: (K, 4): E*warp of result and source, contrast of result and source."""
    error, source_error, sharp, source_sharp = rows.sum(axis=0) if len(rows) else np.zeros(4)
    if not (source_error > 0 and source_sharp > 0 and sharp > 0):
        return float("nan")
    return float(error / source_error * source_sharp / sharp)


FIGURES = (
    Figure(
        name="flicker",
        group="mouth",
        title="Flicker of the mouth's sharpness",
        unit="%",
        better="lower",
        how="by how much the fine detail of the mouth (what a Gaussian of 1.5 pixels takes away) "
        "is stronger or weaker in a frame than in those before and after it; median",
        statistic=_jump,
        grain=1.5,
        good=13.0,
        poor=15.0,
    ),
    Figure(
        name="warping_error",
        group="mouth",
        title="Warping error of the mouth against the source's",
        unit="",
        better="lower",
        how="E*warp of neighbouring frames of the mouth along their optical flow, result over "
        "source, divided by the ratio of their mean squared gradients, as a sharper mouth differs "
        "more for that reason alone",
        statistic=_error_by_contrast,
        window=2.0,
        grain=0.2,
        needs=("source",),
    ),
)


class FlickerMeasure:
    """Keeps the last frames of a mouth only as numbers, and the last pair."""

    def __init__(self) -> None:
        self._before: FramePair | None = None
        self._energies: deque[float] = deque(maxlen=3)
        self._last_error = -_EVERY
        self._jumps: list[tuple[float, float]] = []
        self._errors: list[np.ndarray] = []

    def add(self, crops: FaceCrops) -> None:
        pair, before = crops.pair, self._before
        self._before = pair
        if not pair.follows:
            self._energies.clear()
        self._energies.append(_fine_energy(crops))
        if len(self._energies) == 3:
            first, middle, last = self._energies
            self._jumps.append((pair.seconds, abs(middle - (first + last) / 2)))
        due = pair.index - self._last_error >= _EVERY
        neighbours = pair.follows and before is not None and before.index == pair.index - 1
        if neighbours and due and crops.source is not None:
            assert before is not None
            self._last_error = pair.index
            self._errors.append(np.array([pair.seconds, *_errors(before, crops)]))

    def results(self) -> list[Measured]:
        jumps = np.array(self._jumps).reshape(-1, 2)
        errors = np.array(self._errors).reshape(-1, 5)
        return [
            Measured("flicker", jumps[:, 0], jumps[:, 1:]),
            Measured("warping_error", errors[:, 0], errors[:, 1:]),
        ]


def _fine_energy(crops: FaceCrops) -> float:
    """Logarithm of the mouth's; nan: the mouth is outside the frame."""
    weights = crops.laid(region_mask("mouth"))
    x, y, width, height = cv2.boundingRect((weights > 0).view(np.uint8))
    part = slice(y, y + height), slice(x, x + width)
    if not width or not height:
        return float("nan")
    luma = cv2.cvtColor(crops.result[part], cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = cv2.subtract(luma, cv2.GaussianBlur(luma, (0, 0), _FINE))
    return float(np.log(np.average(np.square(fine), weights=weights[part]) + _NOISE))


def _errors(before: FramePair, crops: FaceCrops) -> tuple[float, float, float, float]:
    """E*warp of result and source, contrast of result and source; nan: not known."""
    pair = crops.pair
    box, mask = _mouth(crops)
    if before.source is None or before.source.shape != pair.result.shape or box.empty:
        return (np.nan,) * 4
    if min(mask.shape) < _LEAST:
        return (np.nan,) * 4
    errors, contrasts = [], []
    for first, then in ((before.result, pair.result), (before.source, pair.source)):
        assert then is not None
        images = _image(first, box), _image(then, box)
        errors.append(warping_error(*images, motion(*images), mask))
        contrasts.append(contrast(images[0], mask) + contrast(images[1], mask))
    return errors[0], errors[1], contrasts[0], contrasts[1]


def _mouth(crops: FaceCrops) -> tuple[Box, np.ndarray]:
    """The part of the frame that shows the middle of the mouth, and its mask (h, w)."""
    face = crops.pair.source_face or crops.pair.face
    assert face is not None
    mask = region_mask("mouth")
    x, y, width, height = cv2.boundingRect((mask > 0).view(np.uint8))
    to_mouth = face.matrix.astype(np.float64)
    to_mouth[:, 2] -= x, y
    part, matrix = part_of(crops.pair.result, to_mouth, (height, width))
    corner = np.linalg.solve(matrix[:, :2], matrix[:, 2] - to_mouth[:, 2])
    left, top = np.rint(corner).astype(int).tolist()
    rows, columns = (min(side, most) for side, most in zip(part.shape[:2], _MOST, strict=True))
    down, across = (part.shape[0] - rows) // 2, (part.shape[1] - columns) // 2
    matrix[:, 2] += matrix[:, :2] @ [across, down]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(mask[y : y + height, x : x + width], matrix, (columns, rows), flags=flags)
    begin = left + across, top + down
    return Box(*begin, begin[0] + columns, begin[1] + rows), laid


def _image(pixels: np.ndarray, box: Box) -> np.ndarray:
    """(h, w, 3) float32 RGB [0, 1]."""
    return np.ascontiguousarray(pixels[box.y0 : box.y1, box.x0 : box.x1]).astype(np.float32) / 255
