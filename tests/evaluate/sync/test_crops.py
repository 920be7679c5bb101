"""Boxes as S3FD's, from the faces that the project finds."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.sync.crops import runs_of_tracks, tight_box, tight_tracks
from latentsync.face.landmarks import LANDMARKS
from latentsync.types import Alignment

UPRIGHT = {
    "eye_left": (80, 100),
    "eye_right": (140, 100),
    "nose_tip": (110, 130),
    "mouth_left": (90, 160),
    "mouth_right": (130, 160),
}
OUTLINE = np.array([[50, 60], [170, 60], [170, 210], [50, 210]], np.float32)


def face(track: int = 0, outline: np.ndarray | None = OUTLINE) -> Alignment:
    landmarks = np.array([UPRIGHT.get(name, (110, 120)) for name in LANDMARKS], np.float32)
    return Alignment(np.eye(2, 3, dtype=np.float32), landmarks, 0.9, track, outline)


def test_the_box_reaches_from_the_chin_to_a_tenth_above_the_outline() -> None:
    np.testing.assert_allclose(tight_box(face()), [50, 45, 170, 210])


def test_a_face_without_an_outline_has_about_the_same_box() -> None:
    """Eyes and mouth are 60 pixels apart: half its height is 87."""
    x0, y0, x1, y1 = tight_box(face(outline=None))
    assert (x0 + x1) / 2 == pytest.approx(110)
    assert y1 == pytest.approx(130 - 12 + 87)
    assert y1 - y0 == pytest.approx(174)


def test_runs_end_where_the_face_is_gone_or_another_track_begins() -> None:
    frames = [face(), face(), None, face(1), face(1), face(2)]
    runs = runs_of_tracks(frames, np.arange(6))
    assert [(start, len(faces)) for start, faces in runs] == [(0, 2), (3, 2), (5, 1)]


def test_runs_count_instants_not_frames() -> None:
    runs = runs_of_tracks([face(), None, face()], np.array([0, 0, 0, 2, 2]))
    assert [(start, len(faces)) for start, faces in runs] == [(0, 5)]


def test_each_run_is_a_track() -> None:
    one, other = tight_tracks([face(), face(), None, face()], np.arange(4))
    assert (one.start, one.stop, other.start) == (0, 2, 3)
    assert one.size == pytest.approx(165)
