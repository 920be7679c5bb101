"""The seam: whether colour or texture step where the new pixels end.

The rim of the mask is followed at a row of distances, outside it and inside it, up to where it is
wholly new. At each distance the two sides are compared in sectors around the mouth, and what the
source steps there by itself is taken off: shadows and the jaw stay out of it. A hard seam is a step
at one distance that the same rim moved outwards or inwards does not have; a soft transition, or a
mouth that moves otherwise, differs at all distances.
"""

from __future__ import annotations

import cv2
import numpy as np

from latentsync.evaluate.ciede2000 import color_difference, lab
from latentsync.evaluate.crops import FaceCrops
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.statistics import Measured

_BAND = 4
"""Pixels of the aligned crop from one distance to the next; each side of a step is two bands."""
_FIRST, _BANDS = -28, 20  # the first band begins so far outside of the rim
_DISTANCES = _BANDS - 3  # at which there are two bands on each side
_SECTORS = 16
_AWAY = 3
"""Bands by which the rim is moved: then its sides hold nothing of the step."""
_NEW = 0.02  # of the mask, from where pixels count as new
_LEAST_PIXELS = 12  # on each side of a step in a sector
_FINE = 1.5  # pixels, sigma: what a Gaussian of it takes away of the luma is texture
_NOISE = 1.0  # code values squared, of texture that is not seen
_DECIBELS = 10 / np.log(10)


def _seam(rows: np.ndarray) -> float:
    """rows: (K, distances), steps -> by how much the most prominent one exceeds those beside it."""
    if not len(rows):
        return float("nan")
    steps = np.abs(rows.mean(axis=0))
    beside = np.maximum(steps[: -2 * _AWAY], steps[2 * _AWAY :])
    return float(max((steps[_AWAY:-_AWAY] - beside).max(), 0.0))


FIGURES = (
    Figure(
        name="seam_colour",
        group="seam",
        title="Seam in colour",
        unit="dE00",
        better="lower",
        how="step of colour (CIEDE2000) across the rim of the new pixels, beyond the source's own "
        "step there and beyond that across the same rim moved outwards or inwards",
        statistic=_seam,
        window=2.0,
        grain=0.2,
        good=0.3,
        poor=0.5,
        needs=("source",),
    ),
    Figure(
        name="seam_texture",
        group="seam",
        title="Seam in texture",
        unit="dB",
        better="lower",
        how="step of fine detail across the rim of the new pixels, beyond the source's own step "
        "there and beyond that across the same rim moved outwards or inwards",
        statistic=_seam,
        window=2.0,
        grain=0.4,
        good=0.9,
        poor=1.4,
        needs=("source",),
    ),
)


class SeamMeasure:
    def __init__(self) -> None:
        self._mask: np.ndarray | None = None
        self._cells = np.empty(0, np.uint16)
        self._seconds: list[float] = []
        self._colors: list[np.ndarray] = []
        self._textures: list[np.ndarray] = []

    def add(self, crops: FaceCrops) -> None:
        if crops.source is None:
            return
        if crops.pair.mask is not self._mask:
            self._mask = crops.pair.mask
            self._cells = cells(crops.pair.mask)
        laid = crops.laid(self._cells, cv2.INTER_NEAREST).ravel()
        at = np.flatnonzero(laid)
        result, source = (_sides(one, laid[at], at) for one in (crops.result, crops.source))
        self._seconds.append(crops.pair.seconds)
        self._colors.append(_color_steps(result[0], source[0]))
        self._textures.append(_texture_steps(result[1], source[1]))

    def results(self) -> list[Measured]:
        seconds = np.array(self._seconds)
        return [
            Measured(name, seconds, np.array(rows).reshape(-1, _DISTANCES))
            for name, rows in (("seam_colour", self._colors), ("seam_texture", self._textures))
        ]


def cells(mask: np.ndarray) -> np.ndarray:
    """(h, w) uint16: 1 + sector * _BANDS + band, by the distance to the rim; 0: far from it.

    mask: (h, w) float32 [0, 1].
    """
    new = (mask > _NEW).astype(np.uint8)
    if not new.any():
        return np.zeros(mask.shape, np.uint16)
    inwards = cv2.distanceTransform(new, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outwards = cv2.distanceTransform(1 - new, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = np.where(new > 0, inwards - 0.5, 0.5 - outwards)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    down, across = (axis - axis[new > 0].mean() for axis in (rows, columns))
    turn = (np.arctan2(down, across) / (2 * np.pi)) % 1
    sector = np.minimum(turn * _SECTORS, _SECTORS - 1).astype(int)
    band = np.floor((distance - _FIRST) / _BAND).astype(int)
    near = (band >= 0) & (band < _BANDS)
    return np.where(near, 1 + sector * _BANDS + band, 0).astype(np.uint16)


def _sides(pixels: np.ndarray, cell: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours (sectors, sides, 3) CIELAB, and log texture (sectors, sides), of every two
    neighbouring bands; nan: too few pixels. cell: (N,), of the pixels `at`."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.square(cv2.subtract(luma, cv2.GaussianBlur(luma, (0, 0), _FINE)))
    counts = _two_bands(cell, None)
    counts[counts < _LEAST_PIXELS] = np.nan
    shown = pixels.reshape(-1, 3)[at]
    colors = np.stack([_two_bands(cell, shown[:, channel]) for channel in range(3)], axis=-1)
    texture = np.log(_two_bands(cell, fine.ravel()[at]) / counts + _NOISE)
    return lab(colors / counts[..., None]), texture


def _two_bands(cell: np.ndarray, values: np.ndarray | None) -> np.ndarray:
    """(sectors, sides): their sums; values None: their numbers."""
    sums = np.bincount(cell, values, minlength=1 + _SECTORS * _BANDS)[1:].astype(np.float64)
    by_band = sums.reshape(_SECTORS, _BANDS)
    return by_band[:, :-1] + by_band[:, 1:]


def _color_steps(result: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(distances,): median over sectors of what the result steps beyond the source."""
    outer, inner = result[:, :-2], result[:, 2:]
    expected = outer + source[:, 2:] - source[:, :-2]
    return _median(color_difference(expected, inner))


def _texture_steps(result: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(distances,) decibels; above 0: there is more of it inside."""
    beyond = (result[:, 2:] - result[:, :-2]) - (source[:, 2:] - source[:, :-2])
    return _DECIBELS * _median(beyond)


def _median(steps: np.ndarray) -> np.ndarray:
    """(sectors, distances) -> (distances,); nan: no sector shows enough."""
    known = ~np.isnan(steps).all(axis=0)
    medians = np.full(steps.shape[1], np.nan)
    medians[known] = np.nanmedian(steps[:, known], axis=0)
    return medians
