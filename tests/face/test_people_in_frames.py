"""People in made-up frames, found by the default detector: hostile cases from end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from latentsync.face.detector import load_detector
from latentsync.face.identity import Appearance
from latentsync.face.people import Person, people_of
from latentsync.face.portraits import PortraitCollector
from latentsync.face.speaker import choose
from latentsync.face.speaker_choice import parse_speaker
from latentsync.face.tracks import is_cut, link_faces, thumbnail
from tests.support.people import heads, put, room

WIDTH, HEIGHT = 960, 540
DISTINCT = (0, 2)
"""Numbers of made-up people that look different from each other."""

Draw = Callable[[np.ndarray, int], None]


@pytest.fixture(scope="module")
def faces() -> dict[int, list[np.ndarray]]:
    return {person: heads(60, person) for person in DISTINCT}


def seen(count: int, draw: Draw, size: tuple[int, int] = (WIDTH, HEIGHT), **settings: int):
    """The people of a made-up video at 25 frames a second, its cuts and its times."""
    detector, collector, small = load_detector("mediapipe", **settings), PortraitCollector(), None
    found, cuts, seconds = [], [], np.arange(count) / 25
    for index, now in enumerate(seconds):
        frame = room(*size)
        draw(frame, index)
        last, small = small, thumbnail(frame)
        cuts.append(last is not None and is_cut(last, small, 0.3))
        if cuts[-1]:
            detector.reset()
        found.append(detector(frame))
        collector.add(frame, found[-1], float(now), cut=cuts[-1])
    tracks = link_faces(found, cuts, seconds=seconds, max_gap_seconds=0.2)
    people = people_of(tracks, collector.by_track(tracks), seconds, Appearance())
    return people, np.array(cuts), seconds


def path_of(person: Person, frames: Sequence[int]) -> list[float]:
    places = [person.face_at(frame) for frame in frames]
    return [np.nan if face is None else float(face.center[0]) for face in places]


def test_who_leaves_and_returns_elsewhere_is_one_person(faces) -> None:
    def draw(frame: np.ndarray, index: int) -> None:
        if not 15 <= index < 35:
            put(frame, faces[0][index], 280 if index < 15 else 680, 270, 260)

    (person,), _, _ = seen(50, draw)
    assert path_of(person, [5, 25, 45]) == pytest.approx([280, np.nan, 680], abs=25, nan_ok=True)


@pytest.mark.parametrize("front", [0, 2])
def test_two_faces_that_cross_are_not_exchanged(front, faces) -> None:
    back = 2 - front

    def draw(frame: np.ndarray, index: int) -> None:
        way = int(560 * index / 59)
        put(frame, faces[back][index], 760 - way, 262, 240)
        put(frame, faces[front][index], 200 + way, 278, 250)

    people, _, _ = seen(60, draw)
    assert len(people) == 2
    rising = {person.number: path_of(person, [0, 8, 52, 59]) for person in people}
    expected = ([200, 276, 694, 760], [760, 684, 266, 200])
    for path in expected:
        assert any(np.allclose(path, one, atol=30) for one in rising.values()), rising


def test_one_person_stays_chosen_across_cuts_and_is_not_replaced(faces) -> None:
    """Shots of 0, of 2 and of 0 elsewhere, larger and in other light."""

    def draw(frame: np.ndarray, index: int) -> None:
        if index < 20:
            put(frame, faces[0][index], 300, 270, 260)
        elif index < 40:
            frame[:] = np.rot90(frame, 2) // 2
            put(frame, faces[2][index], 320, 270, 300)
        else:
            frame[:] = (40, 60, 90)
            put(frame, (faces[0][index] * 0.7).astype(np.uint8), 600, 280, 380)

    people, cuts, seconds = seen(60, draw)
    assert np.flatnonzero(cuts).tolist() == [20, 40] and len(people) == 2
    selection = choose(
        parse_speaker("1"), people, frame_size=(WIDTH, HEIGHT), cuts=cuts, seconds=seconds
    )
    assert path_of(selection.person, [5, 30, 55]) == pytest.approx(
        [300, np.nan, 600], abs=30, nan_ok=True
    )
    assert selection.absent == ((0.8, 1.6),)


def test_a_mirrored_image_of_a_person_in_the_same_frame_is_another(faces) -> None:
    def draw(frame: np.ndarray, index: int) -> None:
        put(frame, faces[0][index], 280, 270, 260)
        put(frame, np.ascontiguousarray(faces[0][index][:, ::-1]), 680, 270, 260)

    people, _, _ = seen(12, draw)
    assert [len(one.tracks) for one in people] == [1, 1]


def test_a_face_half_out_of_the_frame_is_a_person(faces) -> None:
    (person,), _, _ = seen(12, lambda frame, index: put(frame, faces[0][index], 60, 270, 300))
    assert person.box[0] < 10 and len(person.portraits) == 2


@pytest.mark.parametrize("turns", [0, 1])
def test_left_and_right_are_the_frames_however_the_heads_are_turned(turns, faces) -> None:
    def draw(frame: np.ndarray, index: int) -> None:
        for person, x in ((0, 270), (2, 690)):
            put(frame, np.ascontiguousarray(np.rot90(faces[person][index], turns)), x, 270, 300)

    people, cuts, seconds = seen(10, draw)
    for setting, x in (("left", 270), ("right", 690)):
        chosen = choose(
            parse_speaker(setting), people, frame_size=(WIDTH, HEIGHT), cuts=cuts, seconds=seconds
        )
        assert chosen.person.center[0] == pytest.approx(x, abs=60)


def test_a_person_turned_upside_down_has_an_upright_portrait(faces) -> None:
    """Seen by its landmarks: no detector is needed to know which way is up."""
    from latentsync.face.portraits import portrait

    frame = room(520, 520)
    put(frame, faces[0][0], 260, 260, 420)
    (face,) = load_detector("mediapipe")(frame)
    upright = portrait(frame, face)
    turned = type(face)(519 - face.landmarks, 519 - face.box[[2, 3, 0, 1]], face.confidence)
    again = portrait(np.ascontiguousarray(np.rot90(frame, 2)), turned)
    assert np.abs(again.astype(int) - upright).max() <= 1


def test_of_many_people_each_can_be_chosen_by_place() -> None:
    """Twelve are shown; how many of them are found in three frames is the detector's affair."""
    crowd = [heads(1, person)[0] for person in range(12)]

    def draw(frame: np.ndarray, index: int) -> None:
        for n, head in enumerate(crowd):
            put(frame, head, 160 + 320 * (n % 4), 140 + 240 * (n // 4), 220)

    people, cuts, seconds = seen(3, draw, (1280, 720), max_faces=12)
    assert len(people) > 6
    for person in people:
        assert person.face_at(2) is not None, "each face is one track"
        x, y = person.center
        choice = parse_speaker(f"{x:.0f},{y:.0f}@0.09")
        chosen = choose(choice, people, frame_size=(1280, 720), cuts=cuts, seconds=seconds)
        assert chosen.person is person
