"""What the loop tells, when it validates, and what a dry run leaves."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from latentsync.errors import ConfigError, MediaError
from latentsync.training.loop.devices import chosen_precision
from latentsync.training.loop.dry_run import checkpoint_bytes, dry_run
from latentsync.training.loop.meter import Report
from latentsync.training.loop.order import RankBatches
from latentsync.training.loop.schedule import make_schedule
from latentsync.training.loop.trainer import Trainer
from tests.support.small_task import SmallClips, SmallTask, collate
from tests.training.loop.test_resume import after, settings


def made(output: Path, given: Mapping[str, Any], **more: Any) -> Trainer:
    return Trainer(SmallTask(), SmallClips(), collate, settings(**given), output, **more)


def test_the_log_has_every_loss_of_every_step_and_the_speed(tmp_path: Path) -> None:
    seen: list[Report] = []
    made(tmp_path, {"steps": 12, "log_every": 4}, see=seen.append).fit()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    reports = [line for line in lines if "loss/recon" in line]
    assert [one["step"] for one in reports] == [one.step for one in seen] == [4, 8, 12]
    first, last = reports[0], reports[-1]
    total = first["loss/recon"] + 0.01 * first["loss/size"]
    assert first["loss/total"] == pytest.approx(total, rel=1e-4)
    assert last["loss/recon"] < first["loss/recon"]
    assert last["seconds_left"] == 0 and first["seconds_left"] > 0
    assert first["samples_per_second"] * first["seconds_per_step"] == pytest.approx(4)
    assert first["memory_bytes"] > 1e7 and first["grad_norm"] > 0 and first["largest"] > 0
    assert [line["checkpoint"][-2:] for line in lines if "checkpoint" in line] == ["05", "10", "12"]
    assert any((tmp_path / "tensorboard").iterdir())


def test_validation_sees_the_averaged_weights_and_changes_nothing(tmp_path: Path) -> None:
    called = []

    def validate(weights: Path, step: int) -> dict[str, float]:
        called.append((weights.name, step))
        assert torch.load(weights, weights_only=True)["global_step"] == step
        return {"sync": torch.rand(()).item()}

    plain, seen = (
        made(tmp_path / "a", {}),
        made(tmp_path / "b", {"validate_every": 8}, validate=validate),
    )
    plain.fit()
    before = torch.get_rng_state()
    plain_weights = plain.task.model.state_dict()
    seen.fit()
    assert called == [("weights_ema.pt", step) for step in (8, 16, 20)]
    assert all(torch.equal(v, plain_weights[k]) for k, v in seen.task.model.state_dict().items())
    assert torch.equal(before, torch.get_rng_state())
    lines = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation/sync" in line] == [8, 16, 20]


def test_a_validation_that_runs_the_network_runs_the_averaged_one(tmp_path: Path) -> None:
    class Running:
        runs_the_model = True

        def __call__(self, weights: Path, _step: int) -> dict[str, float]:
            averages = torch.load(weights, weights_only=True)["state_dict"]
            now = trainer.task.model.state_dict()
            same.append(all(torch.equal(now[name], value) for name, value in averages.items()))
            return {"seen": 1.0}

    same: list[bool] = []
    trainer = made(tmp_path, {"steps": 4, "validate_every": 2}, validate=Running())
    outcome = trainer.fit()
    assert same == [True, True] and outcome.checkpoint is not None
    saved = torch.load(outcome.checkpoint / "weights.pt", weights_only=True)
    averages = torch.load(outcome.checkpoint / "weights_ema.pt", weights_only=True)
    trained = trainer.task.model.state_dict()
    assert all(torch.equal(value, saved["state_dict"][key]) for key, value in trained.items())
    assert not torch.equal(averages["state_dict"]["2.weight"], trained["2.weight"])


def test_a_validation_that_fails_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def validate(_weights: Path, _step: int) -> dict[str, float]:
        raise MediaError("cannot be read", "v.mp4", "look at it")

    with caplog.at_level(logging.WARNING):
        outcome = made(tmp_path, {"validate_every": 8}, validate=validate).fit()
    assert outcome.step == 20
    assert "validation of step 8 failed, training goes on: cannot be read: v.mp4" in caplog.text


def test_a_stop_saves_first(tmp_path: Path) -> None:
    outcome = made(tmp_path, {"save_every": 0}).fit(after(7))
    assert (outcome.step, outcome.stopped_by) == (7, 1)
    assert outcome.checkpoint == tmp_path / "checkpoints" / "step-00000007"


def test_steps_are_counted_on_from_the_start_weights(tmp_path: Path) -> None:
    outcome = made(tmp_path, {"steps": 103, "save_every": 2}, start_step=100).fit()
    assert outcome.step == 103
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000102", "step-00000103"]


def test_a_dry_run_writes_nothing_and_knows_the_disk_it_would_take(tmp_path: Path) -> None:
    output = tmp_path / "output"
    cost = dry_run(made(output, {"steps": 1000, "batch_size": 1}), 7)
    assert not output.exists()
    assert (cost.left, cost.of_step, cost.clips, cost.precision) == (1000, 2, 7, "fp32")
    assert cost.seconds == pytest.approx(1000 * cost.seconds_per_step) and cost.seconds > 0
    assert cost.parameters == 684 and cost.trained == 684 - 208
    made(output, {"steps": 1, "ema": 0.9}).fit()
    (folder,) = (output / "checkpoints").iterdir()
    size = sum(path.stat().st_size for path in folder.glob("*.pt"))
    expected = checkpoint_bytes(SmallTask().model, averages=True)
    assert expected == 4 * (2 * 684 + 2 * 476) and expected < size


def test_ranks_share_one_order_and_enter_it_anywhere() -> None:
    def taken(position: int, batch: int, processes: int, turns: int) -> list[Any]:
        samplers = [
            RankBatches(
                5, position=position, turns=turns, batch=batch, rank=r, processes=processes
            )
            for r in range(processes)
        ]  # fmt: skip
        return [place for turn in zip(*samplers, strict=True) for one in turn for place in one]

    whole = taken(0, 1, 1, 24)
    assert taken(0, 3, 2, 4) == whole and taken(6, 3, 1, 6) == whole[6:]
    assert whole[5:10] == [(1, index) for index in range(5)]


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("constant", [0, 0.5, 1, 1, 1]),
        ("linear", [0, 0.5, 1, 0.5, 0]),
        ("cosine", [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_the_learning_rate_rises_and_then_follows_its_schedule(
    name: str, shares: list[float]
) -> None:
    given = settings(schedule=name, warmup_steps=4, learning_rate=1.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimizer, given, steps=12)
    found = []
    for _ in range(13):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert [found[i] for i in (0, 2, 4, 8, 12)] == pytest.approx(shares)


def test_a_cpu_has_no_fp16() -> None:
    assert chosen_precision("auto", cpu=True) == "fp32"
    with pytest.raises(ConfigError, match="a CPU has no fp16"):
        chosen_precision("fp16", cpu=True)
