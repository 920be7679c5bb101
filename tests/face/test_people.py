"""Tracks of one person are joined, within a shot and across cuts; those of two never are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pytest

from latentsync.face import joining
from latentsync.face.people import Person, people_of
from latentsync.face.portraits import Portrait
from latentsync.face.tracks import Track
from tests.support.embeddings import ByLevel, face, portrait_of, portraits_of, still

SECONDS = np.arange(200) / 25


def people(tracks: Sequence[Track], looks: Mapping[int, int | Sequence[int]]) -> list[Person]:
    return people_of(tracks, portraits_of(looks, tracks), SECONDS, ByLevel())


def tracks_of(found: Sequence[Person]) -> list[list[int]]:
    return [[track.id for track in person.tracks] for person in found]


def test_a_person_is_recognised_across_cuts_wherever_the_face_is() -> None:
    tracks = [still(n, 50 * n, 50 * n + 50, x, shot=n) for n, x in enumerate((100, 300, 500, 120))]
    assert tracks_of(people(tracks, {0: 1, 1: 2, 2: 1, 3: 2})) == [[0, 2], [1, 3]]


def test_another_face_in_the_same_place_after_a_cut_is_another_person() -> None:
    tracks = [still(0, 0, 50, 100, shot=0), still(1, 50, 100, 100, shot=1)]
    assert tracks_of(people(tracks, {0: 1, 1: 2})) == [[0], [1]]


def test_two_faces_at_the_same_time_are_never_one_person() -> None:
    twins = [still(0, 0, 50, 100), still(1, 20, 70, 500)]
    assert tracks_of(people(twins, {0: 1, 1: 1})) == [[0], [1]]


def test_who_leaves_and_returns_elsewhere_is_the_same_person() -> None:
    tracks = [still(0, 0, 40, 100), still(1, 80, 120, 600)]
    assert tracks_of(people(tracks, {0: 1, 1: 1})) == [[0, 1]]


@pytest.mark.parametrize(("looks", "expected"), [({}, [[0, 1]]), ({0: 1, 1: 2}, [[0], [1]])])
def test_the_place_of_a_face_decides_where_it_was_not_seen_well(looks, expected) -> None:
    tracks = [still(0, 0, 40, 100), still(1, 80, 120, 110)]
    assert tracks_of(people(tracks, looks)) == expected


@pytest.mark.parametrize(("x", "expected"), [(110, [[0, 1]]), (600, [[0], [1]])])
def test_in_doubt_the_place_decides(x, expected) -> None:
    """The second track shows somebody between persons 1 and 2 by appearance."""

    class Between(ByLevel):
        def __call__(self, portraits: np.ndarray) -> np.ndarray:
            vectors = super().__call__(portraits)
            vectors[vectors[:, 2] > 0, 1] = 0.6
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    tracks = [still(0, 0, 40, 100), still(1, 80, 120, x)]
    looks = portraits_of({0: 1, 1: 2}, tracks)
    assert tracks_of(people_of(tracks, looks, SECONDS, Between())) == expected


def test_the_place_decides_nothing_across_a_cut() -> None:
    tracks = [still(0, 0, 40, 100, shot=0), still(1, 40, 120, 110, shot=1)]
    assert tracks_of(people(tracks, {})) == [[0], [1]]


def test_the_more_similar_of_two_tracks_is_joined_first() -> None:
    class Vague(ByLevel):
        """Person 2 looks a little like person 1, and comes first in the second shot."""

        def __call__(self, portraits: np.ndarray) -> np.ndarray:
            vectors = super().__call__(portraits)
            vectors[vectors[:, 2] > 0, 1] = 1.1
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    tracks = [still(0, 0, 50, 100), still(1, 50, 100, 400, shot=1), still(2, 50, 100, 100, shot=1)]
    looks = portraits_of({0: 1, 1: 2, 2: 1}, tracks)
    assert tracks_of(people_of(tracks, looks, SECONDS, Vague())) == [[0, 2], [1]]


def test_people_are_numbered_as_they_appear_and_blips_last() -> None:
    tracks = [still(0, 0, 5, 700), still(1, 10, 90, 500), still(2, 20, 100, 100)]
    found = people(tracks, {0: 3, 1: 1, 2: 2})
    assert [(one.number, one.tracks[0].id) for one in found] == [(1, 1), (2, 2), (3, 0)]


def test_the_spans_of_a_person_touch_where_the_tracks_do() -> None:
    tracks = [still(0, 0, 40, 100), still(1, 40, 60, 300), still(2, 100, 200, 300)]
    (person,) = people(tracks, {0: 1, 1: 1, 2: 1})
    assert person.spans == ((0.0, 2.4), (4.0, 8.0)) and person.seconds == pytest.approx(6.4)


def test_a_person_has_a_mean_box_and_a_face_in_each_frame() -> None:
    tracks = [still(0, 0, 10, 100), still(1, 40, 70, 300)]
    (person,) = people(tracks, {0: 1, 1: 1})
    np.testing.assert_allclose(person.box, [200, 150, 300, 250], rtol=1e-5)
    assert person.face_at(69) is tracks[1].faces[-1]
    assert person.face_at(39) is None and person.face_at(70) is None
    assert person.area == 40 * 100 * 100


def test_somebody_met_from_the_side_first_is_recognised_once_seen_from_both() -> None:
    """Track 2 shows the left side of track 0 and the right side of track 1."""
    tracks = [still(n, 50 * n, 50 * n + 50, 100, shot=n) for n in range(3)]
    assert tracks_of(people(tracks[:2], {0: 1, 1: 2})) == [[0], [1]]
    assert tracks_of(people(tracks, {0: 1, 1: 2, 2: (1, 2)})) == [[0, 1, 2]]


def test_a_person_who_moves_and_is_lost_twice_has_all_frames_of_the_three_tracks() -> None:
    moving = Track(0, 0, 0, tuple(face(100 + 2.0 * n) for n in range(60)))
    tracks = [moving, still(1, 80, 140, 230), still(2, 160, 200, 260)]
    (person,) = people(tracks, {0: 1, 1: 1, 2: 1})
    seen = [n for n in range(200) if person.face_at(n) is not None]
    assert seen == [*range(60), *range(80, 140), *range(160, 200)]


def test_a_thousand_shots_are_joined_in_seconds() -> None:
    tracks = [still(n, n, n + 1, 100 + n % 7, shot=n) for n in range(1000)]
    seconds = np.arange(1000.0)
    looks = portraits_of({n: n % 7 for n in range(1000)}, tracks, fps=1)
    found = people_of(tracks, looks, seconds, ByLevel())
    assert [len(one.tracks) for one in found] == [143] * 6 + [142]


def test_a_stranger_is_compared_in_full_only_with_those_who_may_be_the_same(monkeypatch) -> None:
    """Each shot shows somebody new: who shares no shot and looks unlike is left out."""

    class Everybody(ByLevel):
        def __call__(self, portraits: np.ndarray) -> np.ndarray:
            levels = portraits.reshape(len(portraits), -1).mean(axis=1).round().astype(int)
            return np.eye(256, dtype=np.float32)[levels]

    compared: list[joining.Group] = []
    likeness = joining.likeness
    monkeypatch.setattr(joining, "likeness", lambda *pair: compared.append(pair) or likeness(*pair))
    shots = range(40)
    hosts = [still(n, 5 * n, 5 * n + 5, 100, shot=n) for n in shots]
    guests = [still(40 + n, 5 * n, 5 * n + 5, 500, shot=n) for n in shots]
    made = {n: [portrait_of(1, n / 5)] * 4 for n in shots}
    made |= {40 + n: [_grey(100 + 3 * n, n / 5)] * 4 for n in shots}
    tracks = sorted([*hosts, *guests], key=lambda track: track.start)
    found = people_of(tracks, made, SECONDS, Everybody())
    assert [len(one.tracks) for one in found] == [40] + [1] * 40
    assert len(compared) < 4 * len(shots)


def test_who_was_seen_beside_somebody_once_never_becomes_that_person() -> None:
    """Twins share the first shot; the track of the second shot is one of them, not both."""
    tracks = [still(0, 0, 50, 100), still(1, 0, 50, 500), still(2, 50, 100, 100, shot=1)]
    assert tracks_of(people(tracks, {0: 1, 1: 1, 2: 1})) == [[0, 2], [1]]


def _grey(value: int, seconds: float) -> Portrait:
    image = np.full((112, 112, 3), value, np.uint8)
    return Portrait(seconds, 1.0, cv2.imencode(".png", image)[1].tobytes())
