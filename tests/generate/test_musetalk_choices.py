"""MuseTalk gets the box that it was trained on, and a reference whose lips cannot leak."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentsync.face.landmarks import LANDMARKS
from latentsync.generate.base import Footage
from latentsync.generate.musetalk.face_box import NOSE_BRIDGE, SIDES, face_box, shown_part
from latentsync.generate.musetalk.references import choose_references
from latentsync.types import Alignment
from tests.support.plans import alignment_of

CHIN, LOWER, NOSE_TIP = (LANDMARKS.index(name) for name in ("chin", "lip_lower", "nose_tip"))


def with_chin(share: float, x: float = 300.0) -> Alignment:
    """A face whose chin lies at that share of the aligned crop's height."""
    face = alignment_of(0, x)
    points = face.landmarks.copy()
    back = np.linalg.inv(np.vstack([face.matrix, [0, 0, 1]]))
    points[CHIN] = (back @ [210, share * 560 - 0.5, 1])[:2]
    return replace(face, landmarks=points)


def shares(*faces: Alignment, shift: float = 0, margin: float = 10) -> tuple[float, ...]:
    left, top, right, bottom = face_box(faces, shift=shift, margin=margin)
    return left / 420, top / 560, right / 420, bottom / 560


# The box


def test_the_line_lies_on_the_bridge_of_the_nose_and_the_chin_above_the_lower_edge() -> None:
    left, top, right, bottom = shares(with_chin(0.82))
    assert (left, right) == pytest.approx(SIDES)
    assert bottom == pytest.approx(0.82 + 0.028)
    assert top == pytest.approx(2 * NOSE_BRIDGE - 0.82) and top < 0
    assert (top + bottom) / 2 == pytest.approx(0.395), "half the margin below point 29"


def test_one_box_serves_the_track_and_does_not_follow_the_chin() -> None:
    closed, opened = with_chin(0.78, 300.0), with_chin(0.86, 340.0)
    same = shares(closed, closed, closed, opened)
    assert same == pytest.approx(shares(closed), abs=0.03), "a quarter opens the mouth by 0.08"
    assert shares(closed, opened, opened, opened)[3] == pytest.approx(0.86 + 0.028, abs=0.01)


def test_bbox_shift_lowers_the_line_and_the_margin_the_lower_edge() -> None:
    _, top, _, bottom = shares(with_chin(0.82))
    _, higher, _, same = shares(with_chin(0.82), shift=7)
    assert same == bottom and higher - top == pytest.approx(2 * 7 * 0.0028)
    assert shares(with_chin(0.82), margin=0)[3] == pytest.approx(0.82)


def test_a_face_with_an_outline_has_its_own_width() -> None:
    face = with_chin(0.82)
    back = np.linalg.inv(np.vstack([face.matrix, [0, 0, 1]]))
    corners = np.array([[30, 100, 1], [390, 100, 1], [360, 300, 1], [50, 300, 1]]) @ back.T
    left, _, right, _ = shares(replace(face, outline=corners[:, :2].astype(np.float32)))
    assert (left * 420, right * 420) == pytest.approx((50.5, 360.5), abs=0.01)


def test_a_chin_that_cannot_be_is_not_followed() -> None:
    assert shares(with_chin(3.0))[3] < 1
    assert shares(with_chin(0.1))[3] > 0.7


# What may be shown


def test_nothing_shows_above_the_line_or_at_the_border() -> None:
    shown = shown_part(256, left=90, right=90)
    assert (shown[:120] == 0).all() and (shown[:, :4] == 0).all() and (shown[:, -4:] == 0).all()
    assert shown[-1].max() < 0.01
    assert (shown[140:235, 60:196] == 1).all()
    assert np.array_equal(shown, shown[:, ::-1])


def test_cheek_widths_narrow_their_own_side() -> None:
    shown, narrow = shown_part(256, left=90, right=90), shown_part(256, left=40, right=90)
    assert np.array_equal(narrow[:, 128:], shown[:, 128:])
    assert (narrow[:, :50] == 0).all() and shown[180, 50] == 1


# The reference


def video_of(apertures: list[float], turns: list[float] | None = None, **more: Any) -> Footage:
    """A video of those faces. apertures: in pixels. turns: of the nose, in pixels."""
    turns = turns or [0.0] * len(apertures)
    tracks = more.pop("tracks", [0] * len(apertures))
    faces = []
    for aperture, turn, track in zip(apertures, turns, tracks, strict=True):
        points = alignment_of(track).landmarks.copy()
        points[LOWER, 1] = points[LOWER - 1, 1] + aperture
        points[NOSE_TIP, 0] += turn
        faces.append(replace(alignment_of(track), landmarks=points))
    covered = more.pop("covered", ())
    occluded = np.isin(np.arange(len(faces)), covered)
    nothing: Any = None
    return Footage("video", faces, np.arange(len(faces)) / 25, nothing, occluded, *(nothing,) * 3)


def test_the_reference_is_the_frame_with_the_most_closed_lips() -> None:
    apertures = [9.0, 8, 7, 0.5, 6, 9, 12, 11]
    chosen = choose_references(video_of(apertures), np.arange(8))
    assert set(chosen.values()) == {3} and set(chosen) == set(range(8))


def test_nothing_is_in_front_of_a_reference() -> None:
    apertures = [9.0, 8, 7, 0.5, 6, 9, 12, 11]
    chosen = choose_references(video_of(apertures, covered=[3]), np.arange(8))
    assert set(chosen.values()) == {4}
    all_covered = choose_references(video_of(apertures, covered=range(8)), np.arange(8))
    assert set(all_covered.values()) == {3}, "if every frame is covered, the face still speaks"


def test_each_track_has_its_own_reference() -> None:
    tracks = [0, 0, 0, 1, 1, 1]
    chosen = choose_references(video_of([5.0, 0, 7, 8, 9, 2], tracks=tracks), np.arange(6))
    assert [chosen[i] for i in range(6)] == [1, 1, 1, 5, 5, 5]


def test_the_reference_has_a_like_pose_and_does_not_change_back_and_forth() -> None:
    apertures, turns = [9.0] * 60, [0.0] * 30 + [40.0] * 30
    for closed in (2, 5, 20, 25, 31, 40, 45, 50):
        apertures[closed] = 0.0
    chosen = choose_references(video_of(apertures, turns), np.arange(60))
    path = [chosen[i] for i in range(60)]
    assert set(path[:30]) < {2, 5, 20, 25} and set(path[30:]) < {31, 40, 45, 50}
    assert sum(a != b for a, b in itertools.pairwise(path)) == 1
    nod = [0.0] * 30 + [40.0] + [0.0] * 29
    apertures[30] = 0.0  # in that moment there is a reference that fits better
    steady = choose_references(video_of(apertures, nod), np.arange(60))
    assert len(set(steady.values())) == 1, "for a moment it is kept"


def test_only_frames_that_are_generated_get_one_and_a_single_frame_is_its_own() -> None:
    assert set(choose_references(video_of([1.0, 2, 3]), np.array([1]))) == {1}
    assert choose_references(video_of([9.0]), np.array([0])) == {0: 0}
