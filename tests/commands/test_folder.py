"""A folder among the inputs stands for the videos and pictures in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.commands.batch import is_batch
from latentsync.commands.folder import with_contents
from latentsync.errors import MediaError
from latentsync.media.picture.kinds import name_beside


def _folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).touch()
    return path


def test_its_videos_and_pictures_take_its_place_in_order(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "c.MP4", "a.jpg", "notes.txt", ".b.png", "b.tiff", "a.json")
    (folder / "within.png").mkdir()
    given = with_contents(["x.mp4", str(folder), "y.png"])
    assert given == ["x.mp4", *(str(folder / n) for n in ("a.jpg", "b.tiff", "c.MP4")), "y.png"]


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no videos and no pictures in the folder"):
        with_contents([str(_folder(tmp_path / "in", "notes.txt"))])


def test_a_folder_asks_for_a_folder(tmp_path: Path) -> None:
    assert is_batch([str(tmp_path)], "out")
    assert not is_batch([str(tmp_path / "a.png")], "out.png")


def test_a_picture_and_the_video_of_its_moment_have_reports_of_their_own() -> None:
    assert name_beside(Path("o/IMG_1.JPG")) == "IMG_1.JPG"
    assert name_beside(Path("o/IMG_1.MOV")) == "IMG_1"
