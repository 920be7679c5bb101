"""What a result is not to change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.evaluate.measures.outside import Outside, Untouched
from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.masks import region_mask
from latentsync.types import Box

SHIFT = np.array([[1, 0, -20], [0, 1, -30]], np.float32)  # the aligned crop begins at (20, 30)


def pair(result: np.ndarray, source: np.ndarray | None) -> FramePair:
    face = SeenFace(np.zeros((len(LANDMARKS), 2), np.float32), SHIFT, 0)
    return FramePair(0, 0.0, result, source, face, face, False, region_mask("mouth"))


def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (640, 480, 3), np.uint8)


def measured(result: np.ndarray, source: np.ndarray | None) -> float:
    measure = Outside()
    measure.add(pair(result, source))
    return float(measure.results()[0].rows[0, 0])


def test_the_mouth_may_change_and_nothing_else() -> None:
    source = frame()
    spoken, smeared = source.copy(), source.copy()
    spoken[30 + 330 : 30 + 400, 20 + 150 : 20 + 270] = 0  # the lips
    smeared[:200] += 4
    assert measured(source, source) == measured(spoken, source) == 100
    assert measured(smeared, source) < 45


def test_coarser_coding_has_a_lower_figure() -> None:
    source, generator = frame(), np.random.default_rng(1)
    noise = generator.normal(0, 1, source.shape)
    fine, coarse = (np.rint(source + size * noise).astype(np.uint8) for size in (2, 6))
    assert measured(fine, source) == pytest.approx(10 * np.log10(255**2 / 4), abs=0.3)
    assert measured(fine, source) > measured(coarse, source) + 8


def test_without_a_source_nothing_is_measured() -> None:
    measure = Outside()
    measure.add(pair(frame(), None))
    assert measure.results() == []


def test_without_a_face_the_whole_frame_counts() -> None:
    measure, source = Outside(), frame()
    result = source.copy()
    result[360:430, 170:290] = 0
    measure.add(replace(pair(result, source), face=None, source_face=None))
    assert measure.results()[0].rows[0, 0] < 40


def test_one_pixel_outside_the_patches_is_a_bug_that_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, box, untouched = frame(), Box(100, 200, 300, 400), Untouched()
    inside, outside = before.copy(), before.copy()
    inside[200:400, 100:300] = 0
    outside[199, 100] += 1
    untouched.add(0.0, before, inside, box)
    assert not caplog.records
    untouched.add(0.04, before, outside, box)
    rows = untouched.results()[0].rows
    total = 640 * 480 - 200 * 200
    assert rows.tolist() == [[total, total], [total - 1, total]]
    assert "bug" in caplog.text
