"""Stopping and going on changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from latentsync.errors import CheckpointError
from latentsync.training.loop.checkpoint import STATE, checkpoints_of
from latentsync.training.loop.settings import LoopSettings
from latentsync.training.loop.trainer import Trainer
from tests.support.small_task import SmallClips, SmallTask, collate, small_network

NAME = "weights.pt"


def settings(**given: Any) -> LoopSettings:
    usual: dict[str, Any] = {
        "steps": 20, "batch_size": 2, "accumulation": 2, "learning_rate": 1e-2, "cpu": True,
        "schedule": "cosine", "warmup_steps": 3, "ema": 0.9, "save_every": 5, "weights": NAME,
    }  # fmt: skip
    return LoopSettings(**usual | given)


def train(output: Path, *, stop: Callable[[], int] = lambda: 0, **given: Any) -> Trainer:
    found = checkpoints_of(output)
    trainer = Trainer(
        SmallTask(), SmallClips(), collate, settings(**given), output,
        resume=found[-1] if found else None,
    )  # fmt: skip
    trainer.fit(stop)
    return trainer


def after(steps: int) -> Callable[[], int]:
    """Asks to stop in that step of a run."""
    asked = iter(range(1, 1000))
    return lambda: int(next(asked) >= steps)


def same(one: Any, other: Any) -> bool:
    """All values below, bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("workers", [0, 2])
def test_twenty_steps_are_ten_and_ten_bit_for_bit(tmp_path: Path, workers: int) -> None:
    train(tmp_path / "whole")
    train(tmp_path / "parts", stop=after(10), workers=workers)
    torch.manual_seed(2)  # another process has other random numbers
    train(tmp_path / "parts", workers=workers)
    whole, parts = (checkpoints_of(tmp_path / name)[-1] for name in ("whole", "parts"))
    assert (whole.step, parts.step) == (20, 20)
    for name in (NAME, "weights_ema.pt", STATE):
        assert same(whole.read(name), parts.read(name)), name
    assert whole.about == parts.about


def test_what_is_compared_differs_after_another_step(tmp_path: Path) -> None:
    train(tmp_path, steps=20, save_every=19)
    one, other = checkpoints_of(tmp_path)
    assert not any(same(one.read(n), other.read(n)) for n in (NAME, "weights_ema.pt", STATE))


def test_the_very_next_clips_come_after_a_stop(tmp_path: Path) -> None:
    whole, first, second = SmallClips(), SmallClips(), SmallClips()
    for clips, folder, stop in (
        (whole, "whole", after(99)), (first, "parts", after(7)), (second, "parts", after(99)),
    ):  # fmt: skip
        found = checkpoints_of(tmp_path / folder)
        resume = found[-1] if found else None
        Trainer(SmallTask(), clips, collate, settings(), tmp_path / folder, resume=resume).fit(stop)
    assert len(first.asked) == 7 * 4
    assert first.asked + second.asked == whole.asked
    epochs = [epoch for epoch, _ in whole.asked]
    assert epochs == sorted(epochs) and epochs.count(3) == 7
    assert {i for e, i in whole.asked if e == 3} == set(range(7))


def test_weights_stand_in_the_checkpoint_as_latentsync_has_them(tmp_path: Path) -> None:
    trainer = train(tmp_path)
    path = tmp_path / "checkpoints" / "step-00000020" / NAME
    content = torch.load(path, weights_only=True)
    assert content.keys() == {"global_step", "state_dict"} and content["global_step"] == 20
    assert same(content["state_dict"], dict(trainer.task.model.state_dict()))
    initial = SmallTask().model.state_dict()
    kept = content["state_dict"]
    assert torch.equal(kept["0.weight"], initial["0.weight"]), "it is frozen"
    assert not torch.equal(kept["2.weight"], initial["2.weight"])
    averaged = torch.load(path.with_name("weights_ema.pt"), weights_only=True)["state_dict"]
    assert averaged.keys() == kept.keys()
    assert not torch.equal(averaged["2.weight"], kept["2.weight"])


def test_a_checkpoint_of_another_network_is_the_users_error(tmp_path: Path) -> None:
    train(tmp_path, steps=1)
    task = SmallTask(torch.nn.Sequential(small_network(), torch.nn.Linear(1, 1)))
    with pytest.raises(CheckpointError, match="weights do not fit"):
        Trainer(
            task, SmallClips(), collate, settings(), tmp_path, resume=checkpoints_of(tmp_path)[0]
        )


def test_only_the_last_checkpoints_stay(tmp_path: Path) -> None:
    train(tmp_path, save_every=3, keep=2)
    assert [one.step for one in checkpoints_of(tmp_path)] == [18, 20]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000018", "step-00000020",
    ]  # fmt: skip
