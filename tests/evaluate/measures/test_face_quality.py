"""How good the face looks: which crops are scored, and what the figure says of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from latentsync.evaluate.measures.face_quality import (
    FIGURES,
    KEPT,
    FaceQuality,
    HyperIqaScorer,
    middle_of_face,
)
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.statistics import estimate
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.masks import region_mask
from latentsync.runtime.execution import REFERENCE
from tests.parity.rule import published_shapes, weights

(FIGURE,) = FIGURES
SHIFT = np.array([[1, 0, -20], [0, 1, -30]], np.float32)  # the aligned crop begins at (20, 30)
MASK = region_mask("mouth")


def pair(index: int, level: int, *, seen: bool = True) -> FramePair:
    frame = np.full((640, 480, 3), level, np.uint8)
    face = SeenFace(np.zeros((len(LANDMARKS), 2), np.float32), SHIFT, 0) if seen else None
    return FramePair(index, index / 25, frame, None, face, None, False, MASK)


def brightness(crop: np.ndarray) -> float:
    assert crop.shape == (224, 224, 3)
    return float(crop.mean())


@pytest.mark.parametrize("count", [1, KEPT, 1000])
def test_few_crops_are_scored_and_they_are_spread_evenly(count: int) -> None:
    measure = FaceQuality(brightness)
    for index in range(count):
        measure.add(pair(index, index % 256))
    (measured,) = measure.results()
    steps = np.diff(measured.seconds)
    assert min(count, KEPT // 2) <= len(measured.rows) <= KEPT
    assert np.ptp(steps) < 1e-9 if len(steps) else measured.seconds[0] == 0
    assert (count - 1) / 25 - measured.seconds[-1] <= (steps.max() if len(steps) else 0)
    assert measured.rows[:, 0].tolist() == [round(s * 25) % 256 for s in measured.seconds]


def test_the_figure_is_the_mean_of_the_scores() -> None:
    measure = FaceQuality(brightness)
    for index, level in enumerate((10, 20, 60)):
        measure.add(pair(index, level))
    (measured,) = measure.results()
    assert measured.name == FIGURE.name
    assert estimate(measured, FIGURE.statistic).value == 30


def test_a_video_without_a_face_has_no_figure() -> None:
    measure = FaceQuality(brightness)
    measure.add(pair(0, 10, seen=False))
    assert measure.results() == []


def test_the_crop_is_the_middle_224_of_the_aligned_face_at_256() -> None:
    frame = np.zeros((640, 480, 3), np.uint8)
    frame[..., 0] = np.linspace(0, 255, 480, dtype=np.uint8)
    frame[..., 2] = np.linspace(0, 255, 640, dtype=np.uint8)[:, None]
    face = cv2.resize(frame[30:590, 20:440], (256, 256), interpolation=cv2.INTER_AREA)
    crop = middle_of_face(frame, SHIFT)
    assert np.abs(crop.astype(int) - face[16:240, 16:240]).max() <= 1


def test_the_network_scores_a_crop(tmp_path: Path) -> None:
    """With made-up weights: another crop, another number, and the same one twice."""
    file = tmp_path / "koniq_pretrained.pkl"
    torch.save(weights(published_shapes("hyperiqa")), file)
    score = HyperIqaScorer(file, REFERENCE)
    grey = np.full((224, 224, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, grey.shape, np.uint8)
    assert score(grey) == score(grey) != score(noise)
