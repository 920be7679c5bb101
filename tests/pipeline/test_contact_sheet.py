"""The contact sheet shows every person with number, portraits and times, and is written whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.face.people import Person, people_of
from latentsync.pipeline.contact_sheet import (
    INK,
    MARGIN,
    ROW,
    SEEN,
    SPEAKS,
    WIDTH,
    contact_sheet,
    people_table,
    write_contact_sheet,
)
from tests.support.embeddings import STEP, ByLevel, portraits_of, still

SECONDS = np.arange(1000) / 25


def people(count: int, shots: int = 1) -> list[Person]:
    """Each is in every shot, a quarter of it."""
    length = 1000 // shots
    tracks = [
        still(shot * count + n, shot * length, shot * length + length // 4, 100 + 90 * n, shot=shot)
        for shot in range(shots)
        for n in range(count)
    ]
    looks = {track.id: track.id % count % 7 + 1 for track in tracks}
    return people_of(tracks, portraits_of(looks, tracks), SECONDS, ByLevel())


def count_of(sheet: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((sheet == color).all(axis=-1).any(axis=0).sum())


@pytest.mark.parametrize(("count", "shots"), [(1, 1), (2, 10), (7, 40)])
def test_every_person_has_a_row_with_portraits(count, shots) -> None:
    found = people(count, shots)
    sheet = contact_sheet(found, seconds=40)
    assert len(found) == count and sheet.shape[1] == WIDTH
    for row, person in enumerate(found):
        band = sheet[sheet.shape[0] - ROW * (count - row) :][:ROW]
        level = int(person.portraits[0].pixels[0, 0, 0])
        assert level == (row % 7 + 1) * STEP
        assert (band == level).all(axis=-1).sum() >= 4 * 112 * 112
        assert (band[:, :72] == INK).all(axis=-1).any(), "the number"


def test_the_timeline_shows_when_each_is_seen_and_speaks() -> None:
    (person,) = people(1)
    silent = contact_sheet([person], seconds=40)
    assert count_of(silent[80:], SEEN) == pytest.approx((WIDTH - 2 * MARGIN) / 4, abs=2)
    spoken = contact_sheet([person], seconds=40, speech={1: [(2.0, 6.0)]})
    assert count_of(spoken[80:], SPEAKS) == pytest.approx((WIDTH - 2 * MARGIN) / 10, abs=2)
    assert count_of(silent, SPEAKS) == 0


def test_a_moment_in_a_long_video_is_still_seen() -> None:
    (person,) = people(1)
    brief = contact_sheet([person], seconds=36000, speech={1: [(35999.99, 36000.0)]})
    assert count_of(brief[80:], SEEN) >= 1 and count_of(brief[80:], SPEAKS) == 1


def test_twelve_people_in_a_hundred_shots_fit() -> None:
    tracks = [
        still(12 * shot + n, 10 * shot, 10 * shot + 10, 90.0 * n, shot=shot)
        for shot in range(100)
        for n in range(12)
    ]
    looks = {track.id: track.id % 12 % 7 + 1 for track in tracks if track.id % 12 < 7}
    found = people_of(tracks, portraits_of(looks, tracks), SECONDS, ByLevel())[:12]
    sheet = contact_sheet(found, seconds=40, speech={1: [(0, 1)] * 50})
    assert sheet.shape[0] == pytest.approx(ROW * 12, abs=100)


def test_the_table_says_where_and_when() -> None:
    lines = people_table(people(2, 10), speech={1: [(0.0, 0.5), (4.0, 5.25)]})
    assert lines[1] == (
        "     1  100, 200        10.0 s   0.0 - 1.0, 4.0 - 5.0, 8.0 - 9.0, 12.0 - 13.0, "
        "16.0 - 17.0, 20.0 - 21.0, and 4 more"
    )
    assert lines[2] == "        speaks           1.8 s   0.0 - 0.5, 4.0 - 5.2"
    assert lines[4] == "        speaks           0.0 s   never"
    assert len(people_table(people(2))) == 3


def test_a_person_without_a_portrait_has_a_row_too() -> None:
    tracks = [still(0, 0, 100, 100)]
    (person,) = people_of(tracks, {}, SECONDS, ByLevel())
    assert contact_sheet([person], seconds=4).shape[1] == WIDTH


def test_the_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "people.png"
    write_contact_sheet(people(2), path, seconds=40)
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read, contact_sheet(people(2), seconds=40))
    assert list(path.parent.iterdir()) == [path]


def test_where_it_cannot_be_written_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match="cannot write the contact sheet"):
        write_contact_sheet(people(1), tmp_path / "file" / "people.png", seconds=40)
