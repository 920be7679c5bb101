"""Whether the skin around the mouth has changed its colour against the source."""

from __future__ import annotations

import cv2
import numpy as np

from latentsync.evaluate.ciede2000 import color_difference, lab
from latentsync.evaluate.crops import FaceCrops
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.statistics import Measured
from latentsync.face.landmarks import MOUTH
from latentsync.restoration.edge_blur import lips_outline

_LEAST_MASK = 0.3  # below it a pixel is more the source's than new
_SKIN = 30.0  # code values from the median within which a pixel is skin, not beard, hair or shadow
_LEAST_PIXELS = 50
_LIPS_MARGIN = (20.0, 42.0)  # aligned pixels beyond the mouth's corners and the lips' inner edges
_EVERY = 2  # pixels, each way, of which one is looked at


def _shift(rows: np.ndarray) -> float:
    """rows: (K, 6): by how much R, G, B changed [code values], and those of the source."""
    if not len(rows):
        return float("nan")
    change, before = np.split(rows.mean(axis=0), 2)
    return float(color_difference(lab(before), lab(before + change)))


FIGURES = (
    Figure(
        name="colour_shift",
        group="mouth",
        title="Colour shift of the skin around the mouth",
        unit="dE00",
        better="lower",
        how="CIEDE2000 of the mean colour of the skin inside the mask and outside the lips, result "
        "against source, where both show skin",
        statistic=_shift,
        window=2.0,
        grain=0.3,
        good=1.35,
        poor=2.4,
        needs=("source",),
    ),
)


class ColourMeasure:
    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._rows: list[np.ndarray] = []

    def add(self, crops: FaceCrops) -> None:
        if crops.source is None:
            return
        share = crops.laid(crops.pair.mask) * _without_lips(crops)
        share = share[::_EVERY, ::_EVERY]
        new = share > _LEAST_MASK
        if np.count_nonzero(new) < _LEAST_PIXELS:
            return
        result, source = (
            one[::_EVERY, ::_EVERY][new].astype(np.float64) for one in (crops.result, crops.source)
        )
        skin = _near_median(result) & _near_median(source)
        if np.count_nonzero(skin) < _LEAST_PIXELS:
            return
        weights = share[new][skin][:, None]
        # Least squares: where a share of the new pixels shows, that share of their shift does.
        change = (weights * (result - source)[skin]).sum(axis=0) / np.square(weights).sum()
        self._seconds.append(crops.pair.seconds)
        self._rows.append(np.concatenate([change, source[skin].mean(axis=0)]))

    def results(self) -> list[Measured]:
        return [
            Measured("colour_shift", np.array(self._seconds), np.array(self._rows).reshape(-1, 6))
        ]


def _near_median(colors: np.ndarray) -> np.ndarray:
    """colors: (N, 3) -> (N,) bool."""
    return (np.abs(colors - np.median(colors, axis=0)) < _SKIN).all(axis=1)


def _without_lips(crops: FaceCrops) -> np.ndarray:
    """(h, w) uint8: 0 on the lips of result and source, which may differ."""
    free = np.ones(crops.result.shape[:2], np.uint8)
    pair = crops.pair
    place = pair.source_face or pair.face
    assert place is not None
    back = cv2.invertAffineTransform(crops.matrix)
    for face in (pair.face, pair.source_face):
        if face is None:
            continue
        mouth = face.landmarks[MOUTH] @ place.matrix[:, :2].T + place.matrix[:, 2]
        outline = lips_outline(mouth, np.eye(2), _LIPS_MARGIN) @ back[:, :2].T + back[:, 2]
        cv2.fillPoly(free, [np.rint(outline).astype(np.int32)], 0)
    return free
