"""How much the mouth trembles on its face: what smooth motion does not explain of its landmarks.

Landmarks are taken to the aligned crop, whose matrix follows the head smoothly. Over five frames a
cubic explains all motion that has a speed, an acceleration and a change of it; what is left is the
fourth difference. It is scaled so that noise of 1 px on every frame gives 1 px.

Talking leaves some too, the more lively the more, so a result is compared with its source. Where
the source shows the same speech, even frame by frame: then talking leaves nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.statistics import Measured, median
from latentsync.face.landmarks import MOUTH
from latentsync.geometry import TEMPLATE, frame_scale, points_to_aligned

CUBIC = np.array([1, -4, 6, -4, 1]) / np.sqrt(70)
"""What it gives of five values is all that a cubic through them does not explain."""
BROWS = float(TEMPLATE[1, 0] - TEMPLATE[0, 0])
"""Distance between the brows in the aligned crop."""


def ratio_of_medians(rows: np.ndarray) -> float:
    """(K, 2): of the result, of the source."""
    if not len(rows):
        return float("nan")
    above, below = np.median(rows, axis=0)
    return float(above / below) if below > 0 else float("nan")


FIGURES = (
    Figure(
        name="jitter",
        group="mouth",
        title="jitter of the mouth",
        unit="px",
        better="lower",
        how="What a cubic over five frames does not explain of the position of the mouth (median "
        "of its corners and the lips' edges) in the aligned crop, in pixels of the frame; the "
        "median over time. Lively talk has some too: it has no limits.",
        statistic=median,
        grain=0.05,
    ),
    Figure(
        name="jitter_over_source",
        group="mouth",
        title="jitter of the mouth against the source's",
        unit="",
        better="lower",
        how="Jitter of the result over that of the source in the same frames.",
        statistic=ratio_of_medians,
        window=2.0,
        grain=0.1,
        good=1.5,
        poor=2.0,
        needs=("source",),
    ),
    Figure(
        name="jitter_added",
        group="mouth",
        title="jitter that the restoration adds",
        unit="%",
        better="lower",
        how="As jitter, of the difference between the positions of the result's mouth and of the "
        "source's in the same frame, as a share of the distance between the brows. Only where "
        "the speech is the source's own.",
        statistic=median,
        grain=0.05,
        good=0.2,
        poor=0.3,
        needs=("source", "same_speech"),
    ),
)


class Jitter:
    """A Measure of FIGURES. It keeps 50 bytes a frame, and five frames' landmarks."""

    def __init__(self, *, same_speech: bool = False) -> None:
        """same_speech: the result's speech is the source's, so that both mouths are to agree."""
        self._same_speech = same_speech
        self._run: list[np.ndarray] = []
        self._seconds: list[float] = []
        self._left = array("d")

    def add(self, pair: FramePair) -> None:
        if not pair.follows:
            self._run.clear()
        self._run.append(np.stack([_mouth(pair.face), _mouth(pair.source_face)]))
        self._run = self._run[-len(CUBIC) :]
        if len(self._run) == len(CUBIC) and pair.face is not None:
            self._seconds.append(pair.seconds)
            left, scale = _unexplained(np.stack(self._run)), frame_scale(pair.face.matrix)
            self._left.extend([*(left[:2] * scale), left[2] * 100 / BROWS])

    def results(self) -> list[Measured]:
        return list(self._results()) if self._seconds else []

    def _results(self) -> Iterator[Measured]:
        seconds, left = np.array(self._seconds), np.array(self._left).reshape(-1, 3)
        yield Measured("jitter", seconds, left[:, :1])
        if np.isfinite(left[:, 1]).any():
            yield Measured("jitter_over_source", seconds, left[:, :2])
            if self._same_speech:
                yield Measured("jitter_added", seconds, left[:, 2:])


def _mouth(face: SeenFace | None) -> np.ndarray:
    """(4, 2) pixels of the aligned crop; nan: there is no face."""
    if face is None:
        return np.full((MOUTH.stop - MOUTH.start, 2), np.nan)
    points = points_to_aligned(face.landmarks[None, MOUTH], face.matrix[None])
    return np.asarray(points[0])


def _unexplained(run: np.ndarray) -> np.ndarray:
    """(5, 2, P, 2): frames; result and source; points -> (3,): of the result, of the source, and
    of the difference, in the points' unit. nan: not known.

    The median of the points is that of the mouth as a whole: a lip that moves alone is not in it.
    """
    both = np.concatenate([run, run[:, :1] - run[:, 1:]], axis=1)
    left = np.tensordot(CUBIC, both, axes=1)
    return np.asarray(np.linalg.norm(np.median(left, axis=1), axis=-1))
