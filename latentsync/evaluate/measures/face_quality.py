"""How good the face looks, by HyperIQA: a network that scores images without a reference.

LatentSync chooses its training data by the mean of a video's first, middle and last frame, of
which it keeps 40 and more. Here as many as KEPT frames are scored, evenly spread, so that there is
an interval and a curve; the crop is the same: the aligned face at 256 pixels, its middle 224.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.statistics import Measured, mean
from latentsync.geometry import extract, square
from latentsync.models import hyperiqa
from latentsync.models.hyperiqa import SIDE, HyperIqa, normalised
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.weights.load import build
from latentsync.weights.manifest import HYPERIQA

NAME = "face_quality"
KEPT = 16
"""Crops that are scored, at most; 0.2 s of a core each."""
_ALIGNED = 256  # pixels of the face that the middle is taken from

FIGURES = (
    Figure(
        name=NAME,
        group="rest",
        title="Look of the face",
        unit="of 100",
        better="higher",
        how=f"HyperIQA of the aligned face at {_ALIGNED} pixels, mean over {KEPT} frames at most; "
        "LatentSync trains on videos of 40 and more",
        statistic=mean,
        window=4.0,
        grain=1.0,
        needs=("hyperiqa",),
    ),
)

Scorer = Callable[[np.ndarray], float]
"""(224, 224, 3) uint8 RGB -> score, about 0 to 100."""


class FaceQuality:
    """A Measure. Keeps KEPT crops of the result's face at most, and scores them at the end."""

    def __init__(self, score: Scorer) -> None:
        self._score = score
        self._crops: list[tuple[float, np.ndarray]] = []
        self._step, self._seen = 1, 0

    def add(self, pair: FramePair) -> None:
        if pair.face is None:
            return
        if self._seen % self._step == 0:
            self._crops.append((pair.seconds, middle_of_face(pair.result, pair.face.matrix)))
        self._seen += 1
        if len(self._crops) > KEPT:
            self._crops = self._crops[::2]
            self._step *= 2

    def results(self) -> list[Measured]:
        if not self._crops:
            return []
        seconds = np.array([moment for moment, _ in self._crops])
        scores = np.array([[self._score(crop)] for _, crop in self._crops])
        return [Measured(NAME, seconds, scores)]


class HyperIqaScorer:
    """A Scorer, as the execution runs networks, in float32."""

    def __init__(self, path: Path, execution: Execution) -> None:
        """path: of weights.find. Raises CheckpointError."""
        networks = Networks(
            lambda dtype: build(HyperIqa, HYPERIQA, path, execution.device, dtype=dtype),
            name=HYPERIQA.key,
            checkpoint=path,
            execution=execution,
            sources=[hyperiqa],
        )
        example = torch.zeros(1, 3, SIDE, SIDE)
        self._run = networks.part(Part("score", lambda network: network, precise=True), example)

    def __call__(self, crop: np.ndarray) -> float:
        image = torch.from_numpy(crop.transpose(2, 0, 1)[None].astype(np.float32)) / 255
        (scores,) = self._run(normalised(image))
        return float(scores[0])


def middle_of_face(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB, (2, 3) frame -> aligned crop -> (224, 224, 3) uint8."""
    to_face = square(_ALIGNED) @ np.vstack([matrix, [0, 0, 1]])
    to_face[:, 2] -= (_ALIGNED - SIDE) / 2
    levels = (extract(pixels, to_face, (SIDE, SIDE)).numpy() + 1) * 127.5
    return levels.round().astype(np.uint8).transpose(1, 2, 0)
