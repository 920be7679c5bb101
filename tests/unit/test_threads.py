"""How many threads the kinds of work of a job may take."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest
import torch

from latentsync.errors import ConfigError
from latentsync.pipeline.threads import is_network, settle
from latentsync.schema import RestoreConfig, RuntimeConfig


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def test_what_one_job_was_limited_to_does_not_limit_the_next() -> None:
    every = settle(RuntimeConfig(), networks=False).threads
    assert settle(RuntimeConfig(threads=every + 1), networks=False).threads == every + 1
    assert settle(RuntimeConfig(), networks=False).threads == every


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


def test_fewer_threads_than_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime\.threads"):
        settle(RuntimeConfig(threads=-1), networks=False)
