"""The report says how the time was spent, and the table says the same."""

from __future__ import annotations

import cv2
import pytest
import torch

from latentsync.config import load_config
from latentsync.errors import ConfigError
from latentsync.pipeline.clock import Clock
from latentsync.pipeline.report import stage_table, stages
from latentsync.pipeline.threads import is_network, settle
from latentsync.schema import RestoreConfig, RuntimeConfig


@pytest.fixture(autouse=True)
def _threads_as_before():
    by_torch, by_opencv = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(by_torch)
    cv2.setNumThreads(by_opencv)


def _clock() -> Clock:
    clock = Clock()
    for _ in range(50):
        clock.handed_on("restore")(0.02)
        clock.for_input("encode")(0.01)
    with clock.stage("encode", frames=50):
        pass
    clock.handed_on("decode")(0.5)
    return clock


def test_stages_stand_in_the_order_in_which_a_frame_meets_them() -> None:
    assert list(stages(_clock().work)) == ["decode", "restore", "encode"]


def test_a_stage_tells_its_work_its_waits_and_its_speed() -> None:
    restore = stages(_clock().work)["restore"]
    assert restore["waiting_for_room"] == pytest.approx(1.0)
    assert restore["waiting_for_input"] == 0
    assert restore["frames"] == 50
    assert restore["fps"] is None  # it was never busy
    assert stages(_clock().work)["encode"]["fps"] > 50


def test_the_table_has_a_line_for_each_stage_and_the_total() -> None:
    report = {
        "frames": {"total": 50},
        "seconds": {"total": 4.0},
        "stages": stages(_clock().work),
    }
    head, *lines, total = stage_table(report).splitlines()
    assert head.split() == ["stage", "busy", "no", "input", "no", "room", "frames", "fps"]
    assert [line.split()[0] for line in lines] == ["decode", "restore", "encode"]
    assert lines[1].split() == ["restore", "0.0", "s", "0.0", "s", "1.0", "s", "50"]
    assert total.split() == ["total", "4.0", "s", "50", "12.5"]
    assert max(map(len, (head, *lines, total))) < 80


@pytest.mark.parametrize(
    ("name", "one"), [("Detail", False), ("self", False), ("GFPGAN", True), ("mine:load", True)]
)
def test_only_networks_want_a_backend(name: str, one: bool) -> None:
    assert is_network(RestoreConfig(name=name)) is one


def test_stages_without_a_network_get_one_thread_each() -> None:
    execution = settle(RuntimeConfig(device="cpu"), networks=False)
    assert (execution.backend, execution.dtype) == ("torch", torch.float32)
    assert torch.get_num_threads() == 1


def test_a_network_run_by_pytorch_gets_the_threads_that_are_asked_for() -> None:
    runtime = RuntimeConfig(device="cpu", backend="torch", precision="fp32", threads=3)
    assert settle(runtime, networks=True).threads == 3
    assert torch.get_num_threads() == 3


def test_one_film_s_threads_are_not_the_next_one_s_limit() -> None:
    runtime = RuntimeConfig(device="cpu", backend="torch", precision="fp32")
    before = settle(runtime, networks=True).threads
    settle(runtime, networks=False)
    assert settle(runtime, networks=True).threads == before
    assert torch.get_num_threads() == before


def test_as_many_faces_as_asked_for_are_restored_at_once() -> None:
    from latentsync.pipeline.engine import FEW, Engine

    assert Engine(load_config(None, ["restore.batch=7"])).restore_batch == 7
    assert Engine(load_config(None, ["runtime.device=cpu"])).restore_batch == FEW


def test_fewer_threads_than_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime\.threads"):
        settle(RuntimeConfig(threads=-1), networks=False)
