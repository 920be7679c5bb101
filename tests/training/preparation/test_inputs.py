"""Which files are taken, whatever lies in the folder; and each is read once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latentsync.errors import ConfigError
from latentsync.training.preparation import inputs
from latentsync.training.preparation.inputs import find_inputs, inspected


def test_all_files_are_found_and_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "sub" / "folder.mp4").mkdir(parents=True)
    for name in ("b.mp4", "a.txt", ".hidden.mp4", "sub/c.mkv", "sub/folder.mp4/d.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub" / "up").symlink_to("..")
    (tmp_path / "loop1.mp4").symlink_to("loop2.mp4")
    (tmp_path / "loop2.mp4").symlink_to("loop1.mp4")
    found = find_inputs(tmp_path)
    names = [one.name for one in found]
    files = ["a.txt", "b.mp4", "loop1.mp4", "loop2.mp4", "sub/c.mkv", "sub/folder.mp4/d.mp4"]
    assert names == sorted([*files, "sub/folder.mp4"])
    errors = {one.name: one.error for one in found if one.error}
    assert list(errors) == ["sub/folder.mp4"]
    loop = inspected(next(one for one in found if one.name == "loop1.mp4"), tmp_path / "cache")
    assert "cannot be opened" in loop.error


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (one,) = find_inputs(tmp_path)
    assert "no regular file" in inspected(one, tmp_path / "cache").error


def test_a_file_is_hashed_once_and_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tmp_path / "raw", tmp_path / "cache"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"one")
    hashed = []
    real = inputs.content_hash
    monkeypatch.setattr(inputs, "content_hash", lambda path: hashed.append(path) or real(path))
    (one,) = find_inputs(folder)
    first = inspected(one, cache)
    assert inspected(one, cache) == first and len(hashed) == 1
    (folder / "a.mp4").write_bytes(b"other")
    assert inspected(one, cache).sha256 != first.sha256


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="name the folder"):
            find_inputs(folder)
