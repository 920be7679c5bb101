"""The setting face.speaker: what it may be, whom it selects, and what is said when nobody fits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from latentsync.errors import ConfigError
from latentsync.face.people import Person, people_of
from latentsync.face.speaker import Selection, choose, chosen_faces, reference_portraits
from latentsync.face.speaker_choice import Choice, parse_speaker
from tests.support.embeddings import STEP, ByLevel, face, portraits_of, still

SECONDS = np.arange(100) / 25
CUTS = np.isin(np.arange(100), (25, 50, 75))
TRACKS = [
    still(0, 0, 25, 500, shot=0, size=90),
    still(1, 25, 50, 100, shot=1, size=120),
    still(2, 25, 50, 400, shot=1, size=90),
    still(3, 50, 75, 500, shot=2, size=90),
    still(4, 75, 80, 30, shot=3, size=30),
]
LOOKS = {0: 1, 1: 2, 2: 1, 3: 1, 4: 3}


@pytest.fixture
def people() -> list[Person]:
    """1: in three shots of four, on the right; 2: in the second, larger; 3: small and brief."""
    return people_of(TRACKS, portraits_of(LOOKS, TRACKS), SECONDS, ByLevel())


def chosen(people: list[Person], setting: object, **more: object) -> Selection:
    size, choice = (640, 360), parse_speaker(setting)
    return choose(choice, people, frame_size=size, cuts=CUTS, seconds=SECONDS, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "number"),
    [("largest", 1), ("Largest", 1), ("left", 2), ("right", 1), (3, 3), ("2", 2), (" 1 ", 1)],
)
def test_one_person_is_selected_over_the_whole_video(people, setting, number) -> None:
    assert chosen(people, setting).person.number == number


def test_the_area_counts_over_the_whole_video_not_the_shot(people) -> None:
    """In the second shot person 2 is larger, and yet person 1 stays selected."""
    faces = chosen_faces(chosen(people, "largest").person, 100)
    shown = [None if one is None else one.face.center[0] for one in faces]
    assert shown == [500] * 25 + [400] * 25 + [500] * 25 + [None] * 25
    assert {one.track for one in faces if one is not None} == {0, 2, 3}


def test_the_shots_without_the_person_are_listed(people) -> None:
    assert chosen(people, "largest").absent == ((3.0, 4.0),)
    assert chosen(people, 2).absent == ((0.0, 1.0), (2.0, 4.0))


@pytest.mark.parametrize(
    ("setting", "number"),
    [
        ("110,205@1.5", 2),
        ("410,205@1.5", 1),
        ("490, 190", 1),
        ("500,320@0.4s", 1),  # below the box by less than its width
        ("180,200@1.2", 2),
        ("30,200@3.1", 3),
        ("30,200@3.19", 3),  # the frame of 3.16 s is shown until 3.2 s
    ],
)
def test_a_place_selects_the_face_there_at_that_time(people, setting, number) -> None:
    assert chosen(people, setting).person.number == number


def test_where_boxes_overlap_the_nearer_middle_counts() -> None:
    tracks = [still(0, 0, 9, 100, size=100), still(1, 0, 9, 160, size=100)]
    both = people_of(tracks, {}, SECONDS, ByLevel())
    assert [chosen(both, f"{x},200").person.tracks[0].id for x in (128, 132)] == [0, 1]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("4", "there are 3 people in this video"),
        ("9,9@1.5", r"1.5 s these are \(x0 y0 x1 y1\): 1: 355 155 445 245, 2: 40 140 160 260"),
        ("9,9@3.9", r"there is no face at 3.9 s; the first one appears at 0.00 s"),
        ("640,10", "the frame is only 640 x 360"),
        ("10,360", "the frame is only 640 x 360"),
        ("10,10@4.5", r"the video ends at 4.00 s"),
    ],
)
def test_whom_nobody_fits_is_said_with_those_who_are_there(people, setting, said) -> None:
    with pytest.raises(ConfigError, match=rf"face\.speaker: {setting}; .*{said}"):
        chosen(people, setting)


def test_of_a_single_person_the_second_is_refused(people) -> None:
    with pytest.raises(ConfigError, match="there is one person in this video"):
        chosen(people[:1], 2)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("7x", "use largest, left, right, auto, all, a number"),
        ("", "use largest"),
        ("None", "use largest"),
        ("1.5", "use largest"),
        ("0", "numbered from 1"),
        (-2, "numbered from 1"),
        ("-5,10", "from 0 at its left"),
        ("5,10@-1", "seconds from the start"),
        ("5,10@", "use largest"),
        ("1,2,3", "use largest"),
        ("prettiest", "use largest"),
        ("nowhere/me.jpg", "no such picture"),
    ],
)
def test_nonsense_is_refused_with_what_can_be_set(setting, said) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        parse_speaker(setting)
    assert str(error.value).startswith("face.speaker: ")


def test_an_existing_file_is_a_picture_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "7x"
    path.touch()
    assert parse_speaker(path) == Choice("picture", str(path), picture=path)


@pytest.mark.parametrize(("scores", "number"), [({1: 0.2, 2: 0.9}, 2), ({}, 1), ({3: 0.1}, 3)])
def test_auto_takes_the_highest_score_and_without_scores_the_largest(people, scores, number):
    assert chosen(people, "auto", scores=scores).person.number == number


def picture(*levels: int) -> np.ndarray:
    return np.stack([np.full((112, 112, 3), level * STEP, np.uint8) for level in levels])


def test_a_picture_selects_the_person_on_it(people, tmp_path: Path) -> None:
    path = tmp_path / "me.jpg"
    path.touch()
    for level, number in ((2, 2), (1, 1), (3, 3)):
        found = chosen(people, path, reference=picture(level), embedding=ByLevel())
        assert found.person.number == number
    with pytest.raises(ConfigError, match="nobody in the video is similar enough"):
        chosen(people, path, reference=picture(5), embedding=ByLevel())


def test_a_picture_like_two_people_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "me.jpg"
    path.touch()
    twins = [still(0, 0, 9, 100), still(1, 0, 9, 500)]
    people = people_of(twins, portraits_of({0: 1, 1: 1}, twins), SECONDS, ByLevel())
    with pytest.raises(ConfigError, match="people 1 and 2 are both similar"):
        chosen(people, path, reference=picture(1), embedding=ByLevel())


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((), "no face was found in it"),
        ((100, 90), "2 faces were found in it; crop"),
        ((100,), None),
        ((60, 100), None),
    ],
)
def test_the_picture_must_show_one_person(sizes, said, tmp_path: Path) -> None:
    path = tmp_path / "me.png"
    cv2.imwrite(str(path), np.full((300, 300, 3), 77, np.uint8))
    faces = [_spread(face(100 + 60 * n, size=size)) for n, size in enumerate(sizes)]
    if said is None:
        assert reference_portraits(path, lambda _: faces).shape == (1, 112, 112, 3)
    else:
        with pytest.raises(ConfigError, match=said):
            reference_portraits(path, lambda _: faces)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"not a picture"):
        path = tmp_path / "me.jpg"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a picture"):
            reference_portraits(path, lambda _: [])


def _spread(one):
    one.landmarks[:] += np.arange(len(one.landmarks))[:, None] * (1, 2)
    return one
