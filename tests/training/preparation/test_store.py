"""The output folder: complete or not there, kept for the same work, and nobody else's."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import ConfigError, MediaError
from latentsync.training.preparation.clips import MadeClip
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.manifest import Journal, Judged, Piece
from latentsync.training.preparation.one_source import Prepared
from latentsync.training.preparation.store import Store, check_output, mark

ONE = Input("folder/My video (1).mp4", Path("x.mp4"), sha256="aa", seconds=6.0)


def prepared(store: Store) -> Prepared:
    journal = Journal(ONE.name, store.stem(ONE))
    piece = Piece("s000p1t0_00", 0, 150, 1, 0)
    journal.take("sync", [Judged(piece, figures={"offset": 2.0})])
    clip = MadeClip(journal.name(piece), piece, 2, {"offset": 2.0})
    return Prepared(journal, [clip], {1: np.ones((2, 4), np.float32)})


def written(store: Store) -> None:
    with store.making(ONE) as part:
        (part / "clip.mp4").write_bytes(b"")
        store.write(part, ONE, prepared(store))


def test_a_source_is_finished_all_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path, {"crf": 13})
    with pytest.raises(KeyboardInterrupt), store.making(ONE) as part:
        (part / "half.mp4").write_bytes(b"")
        raise KeyboardInterrupt
    assert store.finished(ONE) is None and list(store.clips.iterdir()) == []
    written(store)
    record = store.finished(ONE)
    assert record is not None
    (clip,) = record.clips
    assert clip.path.parent.name == store.stem(ONE)
    assert (clip.end, clip.person, clip.facts["audio_delay_frames"]) == (6.0, 1, 2)
    assert record.vectors[1].shape == (2, 4)
    assert [row.step for row in record.rows] == ["sync"]


def test_what_was_left_by_a_killed_run_is_removed_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    written(store)
    for name in (".part-x.1", ".part-y.2", "mine"):
        (store.clips / name).mkdir()
    for name in (".part-x.1", "mine"):
        os.utime(store.clips / name, (0, 0))
    store.remove_parts()  # another machine may be at work on y
    assert {one.name for one in store.clips.iterdir()} == {store.stem(ONE), ".part-y.2", "mine"}


def test_a_long_source_shows_that_it_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = Store(tmp_path, {}), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with store.making(ONE) as part:
        tick = store.keep_alive(part, lambda: None)
        os.utime(part, (0, 0))
        tick()
        assert part.stat().st_mtime == 0
        now[0] = 61.0
        tick()
        store.remove_parts()
        assert part.is_dir()


def test_a_run_removes_its_own_parts_at_once_and_those_of_no_other(tmp_path: Path) -> None:
    store, other = Store(tmp_path, {}), Store(tmp_path, {})
    with store.making(ONE) as mine, other.making(ONE) as theirs:
        store.remove_own_parts()
        assert not mine.exists() and theirs.exists()


def test_a_disk_that_takes_no_folder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(MediaError, match="make room"), Store(tmp_path, {}).making(ONE):
        pass


def test_other_settings_or_contents_are_other_work_and_another_name_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path, {"crf": 13})
    written(store)
    assert Store(tmp_path, {"crf": 14}).finished(ONE) is None
    assert store.finished(replace(ONE, sha256="bb")) is None
    moved = Input("elsewhere/My video (1).mp4", Path("y.mp4"), sha256="aa", seconds=6.0)
    record = store.finished(moved)
    assert record is not None and record.rows[0].source == moved.name
    assert Store(tmp_path, {"crf": 14}).unused([ONE]) == [store.clips / store.stem(ONE)]


def test_a_renamed_video_keeps_its_clips(tmp_path: Path) -> None:
    written(Store(tmp_path, {"crf": 13}))
    renamed = replace(ONE, name="folder/other.mkv", path=Path("other.mkv"))
    store = Store(tmp_path, {"crf": 13})
    record = store.finished(renamed)
    assert record is not None and record.clips[0].source == "folder/other.mkv"
    assert record.folder.name == store.stem(ONE) != store.stem(renamed)
    assert store.unused([renamed]) == [] and store.unused([]) == [record.folder]
    assert store.finished(replace(renamed, sha256="bb")) is None
    assert Store(tmp_path, {"crf": 14}).finished(renamed) is None


def test_a_folder_without_its_record_is_made_anew(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    written(store)
    (store.place(ONE) / "record.json").unlink()
    assert store.finished(ONE) is None
    written(store)
    assert store.finished(ONE) is not None


def test_names_of_clips_suit_every_reader(tmp_path: Path) -> None:
    stem = Store(tmp_path, {}).stem(ONE)
    assert stem.startswith("My-video-1-") and not set(stem) & set("._/ ()")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path, {})
    written(store)
    (store.clips / store.stem(ONE) / "record.json").write_text("{")
    with pytest.raises(ConfigError, match="delete this folder"):
        store.finished(ONE)


def test_the_output_is_neither_the_input_nor_in_it_nor_anybody_elses(tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    raw.mkdir()
    (tmp_path / "link").symlink_to(raw)
    for wrong in (raw, raw / "data", tmp_path / "link" / "deep" / "data"):
        with pytest.raises(ConfigError, match="lies in the input folder"):
            check_output(raw, wrong)
    data.mkdir()
    check_output(raw, data)
    (data / "thesis.doc").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        check_output(raw, data)
    mark(data)
    check_output(raw, data)
    assert json.loads((data / "prepare_data.json").read_text())
    (data / "clips").mkdir()
    with pytest.raises(ConfigError, match="lies in the output folder"):
        check_output(data / "clips", data)
