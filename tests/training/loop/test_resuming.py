"""Which checkpoint a command goes on from, and what it leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from latentsync.errors import CheckpointError, ConfigError
from latentsync.training.loop import checkpoint as checkpoints
from latentsync.training.loop.checkpoint import (
    checkpoints_of,
    clear_remains,
    prune,
    write_checkpoint,
)
from latentsync.training.loop.dry_run import check_disk
from latentsync.training.loop.resume import AUTO, NEVER, checkpoint_to_resume, identity
from latentsync.training.settings.schema import UNetOptimizer, UNetTraining
from tests.support.small_task import small_network


def written(output: Path, step: int, **settings: Any) -> Path:
    about = {"step": step, "start_step": 0, "samples": step, "settings": settings}
    return write_checkpoint(output, about, {"weights.pt": {"global_step": step}}).path


def test_it_goes_on_from_the_last_one_with_the_same_settings(tmp_path: Path) -> None:
    assert checkpoint_to_resume(tmp_path, AUTO, {"lr": 1}) is None
    written(tmp_path, 5, lr=1)
    written(tmp_path, 40, lr=1)
    found = checkpoint_to_resume(tmp_path, AUTO, {"lr": 1})
    assert found is not None and found.step == 40
    named = checkpoint_to_resume(tmp_path, str(tmp_path / "checkpoints/step-00000005"), {"lr": 2})
    assert named is not None and named.step == 5
    whole = checkpoint_to_resume(tmp_path / "other", str(tmp_path), {})
    assert whole is not None and whole.step == 40


def test_another_training_is_not_mixed_in(tmp_path: Path) -> None:
    written(tmp_path, 5, lr=1, batch=2)
    with pytest.raises(ConfigError, match=r"batch is 3, it was 2.*another --output"):
        checkpoint_to_resume(tmp_path, AUTO, {"lr": 1, "batch": 3})
    with pytest.raises(ConfigError, match="the output holds checkpoints"):
        checkpoint_to_resume(tmp_path, NEVER, {})
    with pytest.raises(ConfigError, match="no checkpoint of a training"):
        checkpoint_to_resume(tmp_path, str(tmp_path / "nothing"), {})


def test_settings_that_change_nothing_learned_may_change() -> None:
    one = identity(UNetTraining())
    assert one["optimizer.lr"] == 1e-5 and one["data.resolution"] == 512
    assert json.loads(json.dumps(one)) == one
    assert "run.max_train_steps" not in one and "ckpt.save_ckpt_steps" not in one


def test_where_the_learning_rate_falls_the_last_step_counts() -> None:
    falls = replace(UNetTraining(), optimizer=UNetOptimizer(lr_scheduler="cosine"))
    assert "run.max_train_steps" in identity(falls)


def test_pruning_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    paths = [written(tmp_path, step) for step in (1, 2, 3)]
    (paths[0] / "notes.txt").write_text("mine")
    foreign = tmp_path / "checkpoints" / "step-00000000"
    foreign.mkdir()
    (foreign / "about.json").write_text("{}")
    assert prune(tmp_path, 1, step=3) == paths[:2]
    assert [p.name for p in paths[0].iterdir()] == ["notes.txt"] and not paths[1].exists()
    assert foreign.is_dir() and [one.path for one in checkpoints_of(tmp_path)] == paths[2:]
    assert prune(tmp_path, 0, step=3) == []


def test_pruning_leaves_the_newest_where_later_steps_are_of_an_earlier_run(tmp_path: Path) -> None:
    paths = [written(tmp_path, step) for step in (300, 400, 500, 210)]
    assert prune(tmp_path, 1, step=210) == []
    assert all(path.is_dir() for path in paths)


def test_a_checkpoint_that_had_to_give_way_comes_back_where_none_took_its_place(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, 7)
    path.rename(path.with_name(f".{path.name}.old.part"))
    clear_remains(tmp_path, "weights.pt")
    assert [one.path for one in checkpoints_of(tmp_path)] == [path]


def test_a_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, 1)

    def full(_content: object, file: Any) -> None:
        file.write(b"some of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    for step in (1, 2):
        with pytest.raises(CheckpointError, match="cannot be written"):
            written(tmp_path, step)
    assert list((tmp_path / "checkpoints").iterdir()) == [path]
    assert torch.load(path / "weights.pt", weights_only=True) == {"global_step": 1}


def test_what_a_kill_left_is_cleared(tmp_path: Path) -> None:
    part = tmp_path / "checkpoints" / ".step-00000007.123.part"
    part.mkdir(parents=True)
    (part / "weights.pt").write_bytes(b"some of it")
    clear_remains(tmp_path, "weights.pt")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_too_little_room_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_disk(tmp_path, small_network(), averages=True, keep=3)
    monkeypatch.setattr("latentsync.training.loop.dry_run.free_bytes", lambda _: 10_000)
    with pytest.raises(ConfigError, match="too little room"):
        check_disk(tmp_path, small_network(), averages=True, keep=3)
    check_disk(tmp_path, small_network(), averages=True, keep=3, there=3)  # one takes 9 kB
