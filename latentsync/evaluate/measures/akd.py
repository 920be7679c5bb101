"""How far restoration moves a face: average keypoint distance (AKD) to the input.

Only where the speech is the source's own: with new speech the lips are to move.
"""

from __future__ import annotations

from array import array

import numpy as np

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.measures.jitter import BROWS
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.statistics import Measured, mean
from latentsync.geometry import frame_scale

FIGURES = (
    Figure(
        name="akd",
        group="mouth",
        title="shift of the landmarks (AKD)",
        unit="",
        better="lower",
        how="Average keypoint distance: mean distance of the 468 points of the face mesh between "
        "the result and the source in the same frame, x and y in widths and heights of the frame.",
        statistic=mean,
        grain=0.0002,
        needs=("source", "same_speech"),
    ),
    Figure(
        name="akd_px",
        group="mouth",
        title="shift of the landmarks",
        unit="px",
        better="lower",
        how="As AKD, in pixels of the frame.",
        statistic=mean,
        grain=0.1,
        needs=("source", "same_speech"),
    ),
    Figure(
        name="akd_face",
        group="mouth",
        title="shift of the landmarks against the size of the face",
        unit="%",
        better="lower",
        how="As AKD, as a share of the distance between the brows.",
        statistic=mean,
        grain=0.05,
        good=0.8,
        poor=1.6,
        needs=("source", "same_speech"),
    ),
)


class KeypointDistance:
    """A Measure of FIGURES; for results whose speech is the source's own."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._distances = array("d")

    def add(self, pair: FramePair) -> None:
        if pair.face is None or pair.source_face is None:
            return
        if pair.face.mesh is None or pair.source_face.mesh is None:
            return
        apart = pair.face.mesh.astype(np.float64) - pair.source_face.mesh
        size, pixels = np.array(pair.result.shape[1::-1]), _mean_length(apart)
        brows = BROWS * float(frame_scale(pair.source_face.matrix))
        self._seconds.append(pair.seconds)
        self._distances.extend([_mean_length(apart / size), pixels, 100 * pixels / brows])

    def results(self) -> list[Measured]:
        seconds, rows = np.array(self._seconds), np.array(self._distances).reshape(-1, 3)
        if not len(seconds):
            return []
        return [Measured(one.name, seconds, rows[:, [at]]) for at, one in enumerate(FIGURES)]


def _mean_length(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())
