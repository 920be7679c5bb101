"""How sharp the mouth is: against the eyes of the same face, and against the source's own mouth.

Both compare the widths of edges, which the gate goes by as well: contrast, make-up and how much
texture a mouth has cancel out (see restoration.edge_blur). Fitted on 14 videos of 11 people, as
filmed, encoded once more (CRF 18, 23), with mouths of other moments, and blurred (sigma 1 to 2.5
pixels): a blur of 1.5 pixels is at 0.52 to 0.84 of the source's mouth, what is not blurred at 0.86
or more.
"""

from __future__ import annotations

import numpy as np

from latentsync.evaluate.crops import FaceCrops
from latentsync.evaluate.figure import Figure
from latentsync.evaluate.pair import SeenFace
from latentsync.evaluate.statistics import Measured
from latentsync.geometry import frame_scale
from latentsync.pipeline.analysis import place_of
from latentsync.restoration.edge_blur import FIGURES as EDGE_FIGURES
from latentsync.restoration.edge_blur import edge_figures
from latentsync.restoration.mouth_blur import softness

_NATURAL = 0.4
"""By how much the lips of a face as filmed are blurrier than its eyes, see _against_face."""
_LEAST = 0.1  # of the width squared, so that a sharpened mouth keeps a figure


def _against_face(rows: np.ndarray) -> float:
    """rows: (K, 3): variances of the edges of lips and eyes [measured pixels squared], scale.

    The excess of the lips is taken by the size of the face, as restoration.mouth_blur does, for an
    edge of one pixel.
    """
    if not len(rows):
        return float("nan")
    lips, eyes, scale = np.median(rows, axis=0)
    excess = (lips - eyes) / min(scale, 1.0)
    return float(np.sqrt((1 + _NATURAL) / max(1 + excess, _LEAST)))


def _against_source(rows: np.ndarray) -> float:
    """rows: (K, 4): variances [measured pixels squared] of the result's lips and eyes, and of the
    source's. What the eyes have lost as well, the whole frame has lost, to an encode."""
    if not len(rows):
        return float("nan")
    lips, eyes, source_lips, source_eyes = np.median(rows, axis=0)
    expected = source_lips + max(eyes - source_eyes, 0.0)
    sigmas = np.sqrt(np.maximum([lips, expected], 0.0))
    return 1 / (1 + softness(*sigmas.tolist()))


FIGURES = (
    Figure(
        name="mouth_sharpness",
        group="mouth",
        title="Sharpness of the mouth against the face",
        unit="",
        better="higher",
        how="width that the edges of the lips would have by the eyes of the same face, divided by "
        "the width they have; 1: a usual mouth as filmed",
        statistic=_against_face,
        window=3.0,
        grain=0.05,
        good=0.74,
        poor=0.7,
    ),
    Figure(
        name="mouth_sharpness_to_source",
        group="mouth",
        title="Sharpness of the mouth against the source's",
        unit="",
        better="higher",
        how="width of the edges of the source's lips, divided by that of the result's",
        statistic=_against_source,
        window=3.0,
        grain=0.04,
        good=0.84,
        poor=0.78,
        needs=("source",),
    ),
)


class SharpnessMeasure:
    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._rows: list[np.ndarray] = []

    def add(self, crops: FaceCrops) -> None:
        pair = crops.pair
        face = pair.face or pair.source_face
        if face is None:
            return
        row = np.full(5, np.nan)
        row[:3] = *_edges(pair.result, face), frame_scale(face.matrix)
        if crops.source is not None and pair.source is not None:
            row[3:] = _edges(pair.source, pair.source_face or face)
        self._seconds.append(pair.seconds)
        self._rows.append(row)

    def results(self) -> list[Measured]:
        seconds, rows = np.array(self._seconds), np.array(self._rows).reshape(-1, 5)
        return [
            Measured("mouth_sharpness", seconds, rows[:, :3]),
            Measured("mouth_sharpness_to_source", seconds, rows[:, [0, 1, 3, 4]]),
        ]


def _edges(pixels: np.ndarray, face: SeenFace) -> np.ndarray:
    """(2,): lips, eyes."""
    figures = edge_figures(pixels, place_of(face.landmarks, face.matrix))
    return figures[[EDGE_FIGURES.index(name) for name in ("lips", "eyes")]]
