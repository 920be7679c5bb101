"""Average keypoint distance: how far a restoration moves the landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.evaluate.measures.akd import FIGURES, KeypointDistance
from latentsync.evaluate.pair import SeenFace
from tests.support.seen_faces import BROWS, by_name, pairs, seen_face

STATISTICS = {one.name: one.statistic for one in FIGURES}


def moved(face: SeenFace, by: tuple[float, float]) -> SeenFace:
    assert face.mesh is not None
    return replace(face, mesh=face.mesh + np.array(by, np.float32))


def figures(faces: list[SeenFace], sources: list[SeenFace]) -> dict[str, float]:
    distance = KeypointDistance()
    for pair in pairs(faces, sources):
        distance.add(pair)
    found = by_name(distance.results())
    return {name: STATISTICS[name](one.known().rows) for name, one in found.items()}


def test_points_are_compared_in_sides_of_the_frame_in_pixels_and_in_faces() -> None:
    source = [seen_face(0.1)] * 10
    found = figures([moved(one, (6.4, 0)) for one in source], source)
    assert found["akd"] == pytest.approx(0.01, rel=1e-3)  # of 640 pixels
    assert found["akd_px"] == pytest.approx(6.4, rel=1e-3)
    assert found["akd_face"] == pytest.approx(640 / BROWS, rel=1e-3)
    found = figures([moved(one, (0, 3.6)) for one in source], source)
    assert found["akd"] == pytest.approx(0.01, rel=1e-3)  # of 360 pixels


def test_the_same_face_has_not_moved() -> None:
    source = [seen_face(0.1)] * 10
    assert set(figures(source, source).values()) == {0.0}


def test_faces_without_a_mesh_are_not_compared() -> None:
    source = [seen_face(0.1)] * 10
    assert figures([replace(one, mesh=None) for one in source], source) == {}
