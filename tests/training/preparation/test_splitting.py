"""Nobody is in train and in validation, however people and files are tied together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.training.preparation.record import Clip, Record
from latentsync.training.preparation.splitting import TRAIN, VALIDATION, split
from tests.training.preparation.made_up import clip, record


class Compared:
    """Faces are their vectors."""

    name, same, different, margin = "test", 0.7, 0.3, 0.1

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        raise AssertionError("vectors are known already")


def looks(number: int) -> np.ndarray:
    return np.eye(40, dtype=np.float32)[[number, number]]


def clips_of(records: list[Record]) -> list[Clip]:
    return [one for each in records for one in each.clips]


def sides(records: list[Record], **how: object) -> dict[str, str]:
    """Name of a clip -> its part."""
    return dict(split(records, Compared(), **{"way": "looks", "share": 0.3, **how}).parts)


def test_a_speaker_of_several_files_is_on_one_side() -> None:
    records = [record(clip(f"v{n}"), p1=looks(n // 2)) for n in range(20)]
    made = split(records, Compared(), way="looks", share=0.3)
    assert len(set(made.speakers.values())) == 10
    found = {who: set() for who in made.speakers.values()}
    for one in clips_of(records):
        found[made.speakers[one.name]].add(made.parts[one.name])
    assert all(len(side) == 1 for side in found.values())
    assert set(made.parts.values()) == {TRAIN, VALIDATION}
    assert split(records, Compared(), way="looks", share=0.3) == made


@pytest.mark.parametrize("way", ["looks", "folder", "file"])
def test_a_further_video_moves_no_clip_of_others(way: str) -> None:
    """Wherever it comes in order, however long it is."""
    known = [of_folder(n, record(clip(f"v{n}"), p1=looks(n))) for n in range(20)]
    before = sides(known, way=way)
    assert list(before.values()).count(VALIDATION) >= 2
    for n in range(20, 40):
        seconds = 1.0 if n % 2 else 60.0
        further = of_folder(n, record(clip(f"{n}v", seconds=seconds), p1=looks(n)))
        after = sides([further, *known], way=way)
        assert {name: after[name] for name in before} == before


def test_a_further_video_of_a_folder_joins_its_side() -> None:
    known = [of_folder(n, record(clip(f"v{n}"))) for n in range(20)]
    before = sides(known, way="folder")
    for n in range(20):
        after = sides([*known, of_folder(n, record(clip(f"a{n}")))], way="folder")
        assert after == before | {clip(f"a{n}").name: before[clip(f"v{n}").name]}


def of_folder(number: int, one: Record) -> Record:
    (made,) = one.clips
    moved = replace(made, source=f"person{number}/{made.source}")
    return Record(one.rows, (moved,), one.vectors, one.folder)


def test_the_share_is_about_what_was_asked_for() -> None:
    records = [record(clip(f"v{n}")) for n in range(400)]
    parts = list(sides(records, way="file", share=0.1).values())
    assert 25 <= parts.count(VALIDATION) <= 55


def test_who_has_most_of_the_time_is_for_training_and_one_is_left_for_it() -> None:
    names = [f"v{n}" for n in range(30)]
    for name in names:
        long = [record(clip(one, seconds=900 if one == name else 6)) for one in names]
        assert sides(long, way="file", share=0.1)[clip(name).name] == TRAIN
    for n in range(0, 30, 2):
        two = [record(clip(one)) for one in names[n : n + 2]]
        assert set(sides(two, way="file", share=0.5).values()) == {TRAIN, VALIDATION}


def test_people_of_one_file_stay_together_with_all_their_files() -> None:
    records = [
        record(clip("a", 0, person=1), clip("a", 1, person=2), p1=looks(0), p2=looks(1)),
        record(clip("b"), p1=looks(1)),
        record(clip("c"), p1=looks(2)),
    ]
    made = split(records, Compared(), way="looks", share=0.1)
    parts = [made.parts[one.name] for one in clips_of(records)]
    assert parts == [TRAIN, TRAIN, TRAIN, VALIDATION]


def test_one_speaker_gives_no_validation_and_says_so() -> None:
    records = [record(clip("a"), p1=looks(0)), record(clip("b"), p1=looks(0))]
    made = split(records, Compared(), way="looks", share=0.5)
    assert set(made.parts.values()) == {TRAIN} and "empty" in made.notes[0]


def test_folders_or_files_can_be_speakers() -> None:
    one, other = clip("a"), clip("b")
    named = [Clip(o.name, o.path, f"anna/{o.source}", o.sha256, 0, 6, 1, {}) for o in (one, other)]
    records = [record(each, p1=looks(n)) for n, each in enumerate(named)]
    by_folder = split(records, Compared(), way="folder", share=0.5)
    assert set(by_folder.speakers.values()) == {"anna"}
    by_file = split(records, Compared(), way="file", share=0.5)
    assert set(by_file.parts.values()) == {TRAIN, VALIDATION}
