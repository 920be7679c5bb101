"""Numbers that are not finite stop a training, and nothing broken is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from latentsync.errors import MediaError
from latentsync.training.batch import Losses
from latentsync.training.loop import trainer as trainer_module
from latentsync.training.loop.checkpoint import STATE, checkpoints_of
from latentsync.training.loop.guard import NotFiniteError
from latentsync.training.loop.trainer import Trainer
from tests.support.small_task import SmallBatch, SmallClips, SmallTask, collate
from tests.training.loop.test_resume import NAME, settings


def trainer(output: Path, clips: Any = None, task: Any = None, **given: Any) -> Trainer:
    return Trainer(
        task or SmallTask(), clips or SmallClips(), collate, settings(**given), output
    )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
def test_a_nan_stops_the_training_and_names_step_loss_clip_and_checkpoint(
    tmp_path: Path, workers: int
) -> None:
    clips = SmallClips(40, bad=5)
    with pytest.raises(NotFiniteError) as stopped:
        trainer(tmp_path, clips, save_every=1, workers=workers).fit()
    said, saved = str(stopped.value), checkpoints_of(tmp_path)[-1]
    assert "recon = nan" in said and "the clip clip5.mp4;" in said and "\n" not in said
    assert f"in step {saved.step + 1}:" in said and str(saved.path) in said
    state = saved.read(NAME)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert max(json.loads(line)["step"] for line in lines) == saved.step


class _SteepTask(SmallTask):
    """Finite losses without a finite gradient: the root of 0."""

    def losses(self, model: torch.nn.Module, batch: SmallBatch) -> Losses:
        found = super().losses(model, batch)
        return Losses((found.total * 0).sqrt(), found.parts, found.each)


def test_a_gradient_that_is_not_finite_stops_it_too(tmp_path: Path) -> None:
    one = trainer(tmp_path, task=_SteepTask())
    before = {key: value.clone() for key, value in one.task.model.state_dict().items()}
    with pytest.raises(NotFiniteError, match="step 1: the losses are finite, but not the gradient"):
        one.fit()
    assert all(torch.equal(v, before[k]) for k, v in one.task.model.state_dict().items())
    assert checkpoints_of(tmp_path) == []


class _LoudTask(SmallTask):
    """The scaled loss is infinite until the scale has become smaller."""

    def losses(self, model: torch.nn.Module, batch: SmallBatch) -> Losses:
        found = super().losses(model, batch)
        return Losses(found.total * 16, found.parts, found.each)


def _scaled(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    """fp16's scaler on the CPU."""

    def make(_settings: Any) -> Accelerator:
        found = Accelerator(cpu=True)
        found.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=100)
        monkeypatch.setattr(found, "unscale_gradients", lambda *_: None)
        monkeypatch.setattr(
            found, "clip_grad_norm_",
            lambda p, n: (
                found.scaler.unscale_(found._optimizers[0].optimizer),
                torch.nn.utils.clip_grad_norm_(p, n),
            )[1],
        )  # fmt: skip
        return found

    monkeypatch.setattr(trainer_module, "make_accelerator", make)


def test_a_scaler_skips_steps_until_it_is_small_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scaled(monkeypatch, 2.0**126)  # float32 ends at 2 ** 128
    one = trainer(tmp_path, task=_LoudTask(), steps=12, save_every=12)
    one.fit()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    skipped = [line["skipped"] for line in lines if "skipped" in line]
    assert skipped[0] == 1 and skipped[-1] == 0 and 1 <= sum(skipped) < 8
    saved = checkpoints_of(tmp_path)[-1].read(STATE)
    assert saved["scaler"] == one.accelerator.scaler.state_dict()
    assert saved["schedule"]["last_epoch"] == 12 - sum(skipped)


def test_a_scaler_that_skips_for_ever_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scaled(monkeypatch, 4.0)
    with pytest.raises(NotFiniteError, match=r"step 4: .* not the gradient"):
        trainer(tmp_path, task=_SteepTask(), most_skipped=3).fit()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_clip_is_the_users_error(tmp_path: Path, workers: int) -> None:
    with pytest.raises(MediaError, match="clip3"):
        trainer(tmp_path, SmallClips(unreadable=3), workers=workers).fit()
