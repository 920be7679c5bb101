"""insightface's detector: what it needs, and how its faces become ours."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data

from latentsync.errors import CheckpointError, ConfigError
from latentsync.face import insightface_detector
from latentsync.face.detector import DETECTORS, load_detector
from latentsync.face.insightface_detector import InsightfaceDetector
from latentsync.face.landmarks import from_106

PORTRAIT = data.astronaut()


def test_insightface_says_what_to_install_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "insightface", None)
    with pytest.raises(ConfigError, match="pip install insightface") as caught:
        load_detector("insightface")
    assert "\n" not in str(caught.value)
    assert DETECTORS["insightface"] == f"{insightface_detector.__name__}:load"


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of insightface's models; it is empty."""
    monkeypatch.setattr(insightface_detector, "MODEL_ROOT", str(tmp_path))
    return tmp_path / "models" / "buffalo_l"


def test_insightface_s_models_are_not_fetched_offline(pack: Path) -> None:
    insightface_detector.ensure_models(offline=False)
    with pytest.raises(CheckpointError) as caught:
        insightface_detector.ensure_models(offline=True)
    message = str(caught.value)
    for part in ("det_10g.onnx, 2d106det.onnx", str(pack), "without --offline", "mediapipe"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("offline", [False, True])
def test_insightface_s_models_are_taken_where_both_are_there_and_refused_where_one_is_not(
    pack: Path, offline: bool
) -> None:
    pack.mkdir(parents=True)
    (pack / "det_10g.onnx").touch()
    with pytest.raises(CheckpointError, match=r"\(2d106det.onnx\): .*; remove this folder"):
        insightface_detector.ensure_models(offline=offline)
    (pack / "2d106det.onnx").touch()
    insightface_detector.ensure_models(offline=offline)


def from_network(
    width: float, height: float, *, score: float = 0.9, points: np.ndarray | None = None
) -> SimpleNamespace:
    """What insightface's FaceAnalysis returns for one face."""
    points = np.zeros((106, 2)) if points is None else points
    box = np.array([10, 20, 10 + width, 20 + height])
    return SimpleNamespace(bbox=box, det_score=score, landmark_2d_106=points)


def test_insightfaces_faces_are_filtered_as_upstream_filters_them() -> None:
    good, larger = from_network(60, 90), from_network(100, 120)
    bad = [
        from_network(49, 90),  # narrower than 50
        from_network(60, 79),  # lower than 80
        from_network(160, 100),  # wider than 1.5 times its height
        from_network(60, 310),  # narrower than a fifth of it
        from_network(60, 90, score=0.49),
    ]
    analysis = SimpleNamespace(get=lambda pixels: [good, *bad, larger])
    faces = InsightfaceDetector(analysis, max_faces=4, min_confidence=0.5)(PORTRAIT)
    assert [face.area for face in faces] == [100 * 120, 60 * 90]


def test_insightface_sees_bgr_and_its_106_points_become_ours() -> None:
    points = np.random.default_rng(0).uniform(0, 500, (106, 2))
    seen = []

    def get(pixels: np.ndarray) -> list[SimpleNamespace]:
        seen.append(pixels)
        return [from_network(100, 120, points=points)]

    (face,) = InsightfaceDetector(SimpleNamespace(get=get), 4, 0.5)(PORTRAIT)
    np.testing.assert_array_equal(seen[0], PORTRAIT[..., ::-1])
    np.testing.assert_array_equal(face.landmarks, from_106(points))
