"""How much disk a run may add, to nothing and to an earlier run."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from latentsync.errors import ConfigError
from latentsync.training.preparation.disk import RESERVE, check_disk, needed
from latentsync.training.preparation.outputs import bytes_of_shards
from latentsync.training.preparation.settings import PreparationSettings

SETTINGS = PreparationSettings()
CLIPS = needed(100, SETTINGS)
"""Bytes of 100 s."""


def test_clips_are_needed_once_and_again_in_shards() -> None:
    assert CLIPS == 15_000_000
    assert needed(100, SETTINGS, shards=0) == 2 * CLIPS


def test_shards_of_finished_clips_take_the_place_of_those_that_are_there() -> None:
    assert needed(0, SETTINGS, kept=CLIPS, shards=CLIPS) == 0
    assert needed(0, SETTINGS, kept=CLIPS, shards=3 * CLIPS) == 0
    assert needed(100, SETTINGS, kept=CLIPS, shards=CLIPS) == 2 * CLIPS
    assert needed(100, SETTINGS, kept=CLIPS, shards=0) == 3 * CLIPS  # stopped before any shard
    assert needed(100, SETTINGS, kept=CLIPS) == CLIPS


def test_shards_that_are_there_are_found_with_what_a_killed_run_left(tmp_path: Path) -> None:
    assert bytes_of_shards(tmp_path) == 0
    for number, name in enumerate(("shards", ".shards.part"), 1):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train-000000.tar").write_bytes(b"x" * 100 * number)
    assert bytes_of_shards(tmp_path) == 300


def test_a_full_disk_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=RESERVE + 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    check_disk(tmp_path, 100, shards=True)
    with pytest.raises(ConfigError, match="--shards off needs less; --ignore_disk"):
        check_disk(tmp_path, 101, shards=True)
