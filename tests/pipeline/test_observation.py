"""What pass 1 measures of a face, and in which frames."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import CONTROL, LANDMARKS
from latentsync.geometry import TEMPLATE
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.observation import Analyzer
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.restoration.sharpness import BANDS, LARGE
from latentsync.settings.schema import FaceConfig
from latentsync.types import Frame

FRAMES, RATE = 8, 25
ENERGIES = np.ones((2, BANDS), np.float32)


class OneFace:
    """A tracker that detects the same face in every frame. scale: frame pixels an aligned pixel."""

    def __init__(self, scale: float) -> None:
        points = np.random.default_rng(0).uniform(100, 300, (len(LANDMARKS), 2))
        points[CONTROL] = TEMPLATE
        points = (points * scale).astype(np.float32)
        self._face = points, np.array([0, 0, 420, 560], np.float32) * scale

    def reset(self) -> None:
        pass

    def __call__(self, _pixels: np.ndarray) -> list[DetectedFace]:
        return [DetectedFace(*self._face, 0.9)]


class Counting:
    """A meter whose figures say how many faces it has measured."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _pixels: np.ndarray, _matrix: np.ndarray) -> np.ndarray:
        self.calls += 1
        return ENERGIES * self.calls


def analyzed(scale: float, meter: Counting) -> SourceAnalysis:
    pixels = np.full((400, 300, 3), 128, np.uint8)
    frames = [Frame(i, i / RATE, i, pixels) for i in range(FRAMES)]
    analyze = Analyzer(OneFace(scale), meter, FaceConfig(), StageTimer())  # type: ignore[arg-type]
    return analyze(frames).of_largest()


def test_a_face_of_ordinary_size_is_measured_in_every_frame() -> None:
    meter = Counting()
    analysis = analyzed(LARGE - 0.1, meter)
    assert meter.calls == FRAMES
    assert analysis.energies[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_large_face_has_the_figures_of_the_nearest_of_every_third_frame() -> None:
    meter = Counting()
    analysis = analyzed(LARGE + 0.1, meter)
    assert meter.calls == 3  # frames 0, 3 and 6
    assert analysis.energies[:, 0, 0].tolist() == [1, 1, 2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("scale", [LARGE - 0.1, LARGE + 0.1])
def test_what_a_measured_frame_does_not_show_stays_unknown(scale: float) -> None:
    class Blind(Counting):
        def __call__(self, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
            super().__call__(pixels, matrix)
            return ENERGIES * np.nan

    assert np.isnan(analyzed(scale, Blind()).energies).all()
