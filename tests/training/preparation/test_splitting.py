"""Nobody is in train and in validation, however people and files are tied together."""

from __future__ import annotations

import numpy as np

from latentsync.training.preparation.splitting import TRAIN, VALIDATION, split
from latentsync.training.preparation.store import Clip, Record
from tests.training.preparation.made_up import clip, record


class Compared:
    """Faces are their vectors."""

    name, same, different, margin = "test", 0.7, 0.3, 0.1

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        raise AssertionError("vectors are known already")


def looks(number: int) -> np.ndarray:
    return np.eye(12, dtype=np.float32)[[number, number]]


def clips_of(records: list[Record]) -> list[Clip]:
    return [one for each in records for one in each.clips]


def test_a_speaker_of_several_files_is_on_one_side() -> None:
    records = [record(clip(f"v{n}"), p1=looks(n // 2)) for n in range(10)]
    made = split(records, Compared(), way="looks", share=0.3)
    assert len(set(made.speakers.values())) == 5
    sides = {who: set() for who in made.speakers.values()}
    for one in clips_of(records):
        sides[made.speakers[one.name]].add(made.parts[one.name])
    assert all(len(side) == 1 for side in sides.values())
    assert list(made.parts.values()).count(VALIDATION) == 2
    assert split(records, Compared(), way="looks", share=0.3) == made


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
