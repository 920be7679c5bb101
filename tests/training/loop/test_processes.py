"""Two processes, and processes that are killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, GradientState

from latentsync.training.loop.checkpoint import STATE, checkpoints_of
from latentsync.training.loop.trainer import Trainer
from tests.support.small_task import SmallBatch, SmallClips, SmallTask, collate
from tests.training.loop.test_resume import NAME, same, settings, train

FORK = multiprocessing.get_context("fork")


class _SlowTask(SmallTask):
    def losses(self, model: torch.nn.Module, batch: SmallBatch) -> Any:
        time.sleep(0.02)
        return super().losses(model, batch)


def _process(output: Path, rank: int, port: int, given: dict[str, Any]) -> None:
    """One of two, as accelerate's launcher starts it."""
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    torch.set_num_threads(1)
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    train(output, **given)
    torch.distributed.destroy_process_group()


def test_two_processes_train_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given: dict[str, Any] = {"steps": 6, "batch_size": 1, "save_every": 3}
    both = [
        FORK.Process(target=_process, args=(tmp_path / "two", rank, port, given)) for rank in (0, 1)
    ]
    for one in both:
        one.start()
    train(tmp_path / "one", **given | {"batch_size": 2})
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    two, one = (checkpoints_of(tmp_path / name)[-1] for name in ("two", "one"))
    weights, expected = (found.read(NAME)["state_dict"] for found in (two, one))
    initial = SmallTask().model.state_dict()
    for key, value in expected.items():
        assert torch.allclose(weights[key], value, rtol=0, atol=1e-5), key
    assert not torch.allclose(weights["4.weight"], initial["4.weight"], atol=1e-3)
    assert two.about["samples"] == one.about["samples"] == 24
    lines = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("two", "one")
    ]
    losses = [[x["loss/recon"] for x in found if "loss/recon" in x] for found in lines]
    assert len(losses[0]) == 6 and torch.allclose(*map(torch.tensor, losses), atol=1e-5)


def _slow(output: Path) -> None:
    torch.set_num_threads(1)
    Trainer(_SlowTask(), SmallClips(), collate, settings(save_every=2), output).fit()


def test_after_a_kill_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    child = FORK.Process(target=_slow, args=(tmp_path / "killed",))
    child.start()
    while len(checkpoints_of(tmp_path / "killed")) < 3 and child.is_alive():
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    stopped_at = checkpoints_of(tmp_path / "killed")[-1].step
    assert stopped_at < 20
    train(tmp_path / "whole", save_every=2)
    train(tmp_path / "killed", save_every=2)
    whole, killed = (checkpoints_of(tmp_path / name)[-1] for name in ("whole", "killed"))
    assert all(same(whole.read(n), killed.read(n)) for n in (NAME, "weights_ema.pt", STATE))
