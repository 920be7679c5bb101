"""Head pose in degrees: signs, symmetry, and independence of zoom and roll."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face.landmarks import LANDMARKS
from latentsync.face.pose import YAW_BY_OUTLINE, pitch, yaw, yaw_of
from latentsync.types import Alignment

EYES = np.array([[80.0, 100.0], [120.0, 100.0]])


def face(nose: tuple[float, float]) -> np.ndarray:
    """(11, 2): eyes 40 pixels apart, their middle at (100, 100), and the tip of the nose."""
    points = np.full((len(LANDMARKS), 2), 100.0, np.float32)
    points[LANDMARKS.index("eye_left")], points[LANDMARKS.index("eye_right")] = EYES
    points[LANDMARKS.index("nose_tip")] = nose
    return points


def outline(left: float, right: float) -> np.ndarray:
    return np.array([[left, 90.0], [100.0, 40.0], [right, 90.0], [100.0, 180.0]], np.float32)


def moved(points: np.ndarray, *, zoom: float = 1.0, roll: float = 0.0) -> np.ndarray:
    turn = np.radians(roll)
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ matrix.T + [30, -20]


def test_a_nose_between_the_edges_of_the_face_is_a_face_that_looks_ahead() -> None:
    assert yaw(face((100, 122))[None], [outline(50, 150)])[0] == pytest.approx(0)


def test_a_nose_at_the_edge_of_the_face_is_turned_by_what_was_measured() -> None:
    right, left = (yaw(face((x, 122))[None], [outline(50, 150)])[0] for x in (150, 50))
    assert right == pytest.approx(YAW_BY_OUTLINE) and left == pytest.approx(-right)
    assert yaw(face((127.5, 122))[None], [outline(50, 150)])[0] == pytest.approx(36, abs=2)


def test_without_an_outline_the_eyes_give_about_the_same_angle() -> None:
    """Between the eyes the nose of a turned face is to its side, by 1.75 times less."""
    turned = face((100 + 0.2 * 40, 122))[None]
    with_outline = yaw(turned, [outline(100 + 8 - 17.5 - 50, 100 + 8 - 17.5 + 50)])[0]
    assert yaw(turned, [None])[0] == pytest.approx(with_outline, rel=0.1)


@pytest.mark.parametrize(("zoom", "roll"), [(2.5, 0.0), (1.0, 30.0), (0.5, -50.0)])
def test_zoom_and_roll_do_not_matter(zoom: float, roll: float) -> None:
    points, edge = face((110, 124)), outline(50, 150)
    edge[[1, 3], 0] = 99.0  # its widest points decide, along the eyes
    here = moved(points, zoom=zoom, roll=roll)[None], [moved(edge, zoom=zoom, roll=roll)]
    assert yaw(*here)[0] == pytest.approx(yaw(points[None], [edge])[0], abs=0.01)
    assert pitch(here[0])[0] == pytest.approx(pitch(points[None])[0], abs=0.01)


def test_a_lower_nose_is_a_face_that_looks_down() -> None:
    down, ahead, up = (pitch(face((100, y))[None])[0] for y in (130, 121.6, 110))
    assert up < -10 < ahead < 10 < down
    assert ahead == pytest.approx(0, abs=0.5)


def test_no_angle_exceeds_a_quarter_turn() -> None:
    assert yaw(face((400, 122))[None], [None])[0] == 90
    assert pitch(face((100, 400))[None])[0] == 90


def test_a_frame_without_a_face_has_no_yaw() -> None:
    one = Alignment(np.eye(2, 3, dtype=np.float32), face((110, 122)), 1.0, 0)
    angles = yaw_of([None, one, None])
    assert np.isnan(angles[[0, 2]]).all() and angles[1] > 20
    assert np.isnan(yaw_of([None])).all() and not len(yaw_of([]))
