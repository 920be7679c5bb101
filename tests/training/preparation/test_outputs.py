"""Shards are what webdataset reads, lists what LatentSync reads, and nothing is done twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from latentsync.training.preparation import outputs
from latentsync.training.preparation.disk import RESERVE
from latentsync.training.preparation.manifest import DROPPED, NOT_JUDGED, Row
from latentsync.training.preparation.outputs import remove_shards, write_lists, write_shards
from latentsync.training.preparation.record import Clip
from latentsync.training.preparation.splitting import TRAIN, VALIDATION, Split
from latentsync.training.preparation.table import csv_text, sums
from tests.training.preparation.made_up import clip


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    made = []
    for number in range(4):
        path = tmp_path / f"clip{number}.mp4"
        path.write_bytes(bytes([number]) * 1000)
        made.append(replace(clip(f"v{number}"), path=path, facts={"confidence": 5.5}))
    return made


def split_of(clips: list[Clip]) -> Split:
    parts = {one.name: VALIDATION if number == 0 else TRAIN for number, one in enumerate(clips)}
    return Split({one.name: "speaker0000" for one in clips}, parts, "looks")


def shards(clips: list[Clip], output: Path) -> int:
    return write_shards(clips, split_of(clips), output, resolution=256, most=2500)


def test_webdataset_reads_the_shards(clips: list[Clip], tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="pip install '.[training]'")
    (tmp_path / "data").mkdir()
    assert shards(clips, tmp_path / "data") == 3
    urls = sorted(str(path) for path in (tmp_path / "data" / "shards").glob("train-*.tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert [one["__key__"] for one in samples] == [one.name for one in clips[1:]]
    assert samples[0]["mp4"] == clips[1].path.read_bytes()
    facts = json.loads(samples[0]["json"])
    assert (facts["fps"], facts["frames"], facts["confidence"]) == (25, 150, 5.5)
    assert (facts["speaker"], facts["split"], facts["source"]) == ("speaker0000", TRAIN, "v1.mp4")


def test_shards_of_the_same_clips_stay_and_of_others_are_made_anew(
    clips: list[Clip], tmp_path: Path
) -> None:
    shards(clips, tmp_path)
    first = (tmp_path / "shards" / "train-000000.tar").stat()
    shards(clips, tmp_path)
    assert (tmp_path / "shards" / "train-000000.tar").stat().st_ino == first.st_ino
    shards(clips[:2], tmp_path)
    left = sorted(path.name for path in (tmp_path / "shards").glob("*.tar"))
    assert left == ["train-000000.tar", "validation-000000.tar"]


@pytest.mark.parametrize(("free", "both"), [(RESERVE + 4000, True), (RESERVE + 3999, False)])
def test_old_shards_stay_until_the_new_ones_are_there_unless_the_disk_is_full(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, both: bool
) -> None:
    shards(clips[:2], tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    seen = []
    real = outputs._write_shard
    there = tmp_path / "shards" / "train-000000.tar"
    monkeypatch.setattr(
        outputs, "_write_shard", lambda *given: seen.append(there.exists()) or real(*given)
    )
    assert shards(clips, tmp_path) == 3
    assert seen == [both] * 3 and there.exists()


def test_shards_of_somebody_else_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine.tar").write_bytes(b"")
    remove_shards(tmp_path)
    assert (tmp_path / "shards" / "mine.tar").exists()


def test_without_shards_the_facts_of_all_clips_are_there(clips: list[Clip], tmp_path: Path) -> None:
    assert write_shards(clips, split_of(clips), tmp_path, resolution=256, most=0) == 0
    (index,) = (tmp_path / "shards").iterdir()
    samples = json.loads(index.read_text())["samples"]
    assert samples[clips[0].name]["speaker"] == "speaker0000"


def test_lists_have_an_absolute_path_a_line(clips: list[Clip], tmp_path: Path) -> None:
    write_lists(clips, split_of(clips), tmp_path)
    lines = (tmp_path / "train.txt").read_text().splitlines()
    assert lines == [str(one.path) for one in clips[1:]] and Path(lines[0]).is_absolute()
    assert (tmp_path / "validation.txt").read_text() == f"{clips[0].path}\n"


def test_the_table_has_all_and_the_sums_say_what_was_lost_and_why() -> None:
    rows = [
        Row("a_1", "a, b.mp4", 0.0, 6.0, "sync", DROPPED, "confidence is 2.1 (--x)", {"offset": 1}),
        Row("a_2", "a, b.mp4", 6.0, 12.5, "sync", DROPPED, "confidence is 1.9 (--x)"),
        Row("a_3", "a, b.mp4", 13.0, 20.0, "sync", NOT_JUDGED, "no weights"),
        Row("", "c.mp4", 0.0, 3.0, "readable", DROPPED, "it is empty"),
    ]
    lines = csv_text(rows).splitlines()
    assert lines[1].startswith('a_1,"a, b.mp4",0.00,6.00,sync,dropped,') and len(lines) == 5
    first, second = sums(rows)
    assert (first.step, first.dropped, first.dropped_seconds) == ("readable", 1, 3.0)
    assert second.doubts == {"no weights": 1}
    assert (second.dropped, second.dropped_seconds, second.not_judged) == (2, 12.5, 1)
    assert second.reasons.most_common(1) == [("confidence is …", 2)]
