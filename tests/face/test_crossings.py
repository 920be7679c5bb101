"""Where two faces meet, a track on which they were exchanged is split, and no other is."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face import crossings
from latentsync.face.crossings import split_at_crossings
from latentsync.face.people import people_of
from latentsync.face.tracks import Track
from tests.support.embeddings import ByLevel, face, portraits_of, still

SECONDS = np.arange(200) / 25


def walk(number: int, begin: float, end: float, start: int = 0, stop: int = 101) -> Track:
    """From begin at frame 0 to end at frame 100."""
    places = np.linspace(begin, end, 101)[start:stop]
    return Track(number, 0, start, tuple(face(x) for x in places))


CROSSING = [walk(0, 100, 700), walk(1, 700, 100)]
TURNING_BACK = [walk(0, 100, 380), walk(1, 700, 420)]


def split(tracks, looks):
    pieces = split_at_crossings(tracks, portraits_of(looks, tracks), SECONDS, ByLevel())
    return [(track.id, track.start, track.stop) for track, _ in pieces]


def test_faces_that_pass_each_other_as_themselves_stay_whole() -> None:
    assert split(CROSSING, {0: 1, 1: 2}) == [(0, 0, 101), (1, 0, 101)]


def test_exchanged_faces_are_split_where_they_were_nearest() -> None:
    pieces = split(CROSSING, {0: (1, 2), 1: (2, 1)})
    assert pieces == [(0, 0, 50), (2, 50, 101), (1, 0, 50), (3, 50, 101)]


def test_after_the_exchange_each_person_keeps_the_own_face() -> None:
    looks = portraits_of({0: (1, 2), 1: (2, 1)}, CROSSING)
    first, second = people_of(CROSSING, looks, SECONDS, ByLevel())
    assert [track.id for track in first.tracks] == [0, 3]
    assert [track.id for track in second.tracks] == [1, 2]
    assert first.face_at(99) is CROSSING[1].faces[99]


def test_similar_people_are_exchanged_only_if_it_fits_better() -> None:
    """Both look half like the other: appearance before and after is never surely different."""

    class Alike(ByLevel):
        def __call__(self, portraits: np.ndarray) -> np.ndarray:
            vectors = super().__call__(portraits) + np.float32(0.35)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    vectors = Alike()(np.full((2, 112, 112, 3), [[[[30]]], [[[60]]]], np.uint8))
    assert Alike.different < vectors[0] @ vectors[1] < 1 - Alike.margin
    for looks, pieces in (({0: 1, 1: 2}, 2), ({0: (1, 2), 1: (2, 1)}, 4)):
        made = portraits_of(looks, CROSSING)
        assert len(list(split_at_crossings(CROSSING, made, SECONDS, Alike()))) == pieces


def test_who_was_hidden_comes_back_as_the_same_person_on_the_other_side() -> None:
    """Person 2 passes behind person 1, whose track goes on; a new one begins when 2 is seen."""
    tracks = [walk(0, 100, 700), walk(1, 700, 100, 0, 40), walk(2, 700, 100, 60, 101)]
    looks = portraits_of({0: 1, 1: 2, 2: 2}, tracks)
    found = people_of(tracks, looks, SECONDS, ByLevel())
    assert [[track.id for track in one.tracks] for one in found] == [[0], [1, 2]]


def test_a_track_that_jumped_to_the_face_in_front_is_split() -> None:
    """The track of person 2 goes on with person 1, whose own ended; a new one shows person 2."""
    tracks = [walk(0, 100, 400, 0, 80), walk(1, 400, 330), walk(2, 300, 420, 80, 101)]
    looks = portraits_of({0: 1, 1: (2, 2, 2, 2, 1), 2: 2}, tracks)
    found = people_of(tracks, looks, SECONDS, ByLevel())
    assert {one.face_at(10) is not None for one in found} == {True}
    (first,) = [one for one in found if one.tracks[0].id == 0]
    assert first.face_at(95) is tracks[1].faces[95]


def test_a_face_that_is_surely_another_after_the_meeting_is_split_whoever_the_other_was() -> None:
    assert split(CROSSING, {0: (1, 2)}) == [(0, 0, 50), (2, 50, 101), (1, 0, 101)]


def test_beside_a_face_that_appears_next_to_it_a_track_is_split_as_well() -> None:
    beside = [still(0, 0, 100, 300), still(1, 50, 100, 420)]
    assert split(beside, {0: (1, 2), 1: 1}) == [(0, 0, 50), (2, 50, 100), (1, 50, 100)]


@pytest.mark.parametrize("looks", [{}, {0: 1}, {0: (1, 2)}])
def test_without_a_meeting_or_without_portraits_nothing_is_split(looks) -> None:
    far = [still(0, 0, 100, 100), still(1, 0, 100, 600)]
    assert split(far, looks) == [(0, 0, 100), (1, 0, 100)]
    assert split(CROSSING, {}) == [(0, 0, 101), (1, 0, 101)]


def test_portraits_between_two_meetings_are_embedded_once() -> None:
    class Counting(ByLevel):
        embedded = 0

        def __call__(self, portraits: np.ndarray) -> np.ndarray:
            self.embedded += len(portraits)
            return super().__call__(portraits)

    counting = Counting()
    made = portraits_of({0: 1, 1: 2}, CROSSING)
    split_at_crossings(CROSSING, made, SECONDS, counting)
    assert counting.embedded == sum(map(len, made.values()))


def test_tracks_of_different_shots_are_not_compared(monkeypatch) -> None:
    compared: list[int] = []
    closest = crossings._closest
    monkeypatch.setattr(crossings, "_closest", lambda *pair: compared.append(1) or closest(*pair))
    tracks = [still(n, 2 * (n // 2), 2 * (n // 2) + 2, 100, shot=n // 2) for n in range(60)]
    split(tracks, {})
    assert len(compared) == 30
