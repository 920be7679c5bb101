"""How many threads the kinds of work of a job may take; only commands change the process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from latentsync.commands.console import use_threads
from latentsync.errors import ConfigError
from latentsync.pipeline.engine import Engine, execution_of
from latentsync.pipeline.requirements import runs_networks
from latentsync.pipeline.session import Session
from latentsync.runtime.execution import REFERENCE, torch_threads
from latentsync.settings.load import load_config
from latentsync.settings.schema import RuntimeConfig

DEMO = Path(__file__).parents[2] / "assets" / "demo_lipsynced.mp4"
BY_PYTORCH = RuntimeConfig(device="cpu", backend="torch", precision="fp32")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.parametrize("networks", [False, True])
def test_what_one_job_was_limited_to_does_not_limit_the_next(networks: bool) -> None:
    every = execution_of(BY_PYTORCH, networks=networks).threads
    limited = replace(BY_PYTORCH, threads=every + 1)
    assert execution_of(limited, networks=networks).threads == every + 1
    assert execution_of(BY_PYTORCH, networks=networks).threads == every


def test_one_command_s_threads_are_not_the_next_one_s_limit() -> None:
    before = execution_of(BY_PYTORCH, networks=True)
    for count in (1, before.threads + 6):
        use_threads(count)
        assert torch.get_num_threads() == count
        after = execution_of(BY_PYTORCH, networks=True)
        assert torch_threads(after) == torch_threads(before) == before.threads


@pytest.mark.parametrize(
    ("settings", "speech", "some"),
    [
        (["restore.name=Detail"], False, False),
        (["restore.name=self"], False, False),
        (["restore.name=GFPGAN"], False, True),
        (["restore.name=mine:load"], False, True),
        (["restore.name=GFPGAN", "restore.when=never"], False, False),
        (["restore.name=Detail"], True, True),
        (["restore.name=Detail", "generate.name=replay"], True, False),
        (["restore.name=Detail", "generate.name=tests.support.soft_mouths:load"], True, True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_only_networks_need_a_backend(settings: list[str], speech: bool, some: bool) -> None:
    assert runs_networks(load_config(None, settings), speech=speech) is some


def test_stages_without_a_network_get_one_thread_each() -> None:
    execution = execution_of(RuntimeConfig(device="cpu", threads=3), networks=False)
    assert (execution.backend, execution.dtype) == ("torch", torch.float32)
    assert torch_threads(execution, networks=False) == 1


def test_a_network_run_by_pytorch_gets_the_configured_threads() -> None:
    execution = execution_of(replace(BY_PYTORCH, threads=3), networks=True)
    assert execution.threads == torch_threads(execution) == 3


def test_a_network_that_pytorch_does_not_run_on_the_cpu_leaves_it_one_thread() -> None:
    for execution in (
        replace(REFERENCE, backend="openvino", threads=3),
        replace(REFERENCE, device=torch.device("cuda"), threads=3),
    ):
        assert torch_threads(execution) == 1


def test_the_library_leaves_the_process_as_it_is() -> None:
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    with Session(Engine(load_config(None, ["runtime.threads=5"])), DEMO) as session:
        next(iter(session.frames(0, 1)))
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (2, 2)


@pytest.mark.parametrize("networks", [False, True])
def test_fewer_threads_than_none_are_refused(networks: bool) -> None:
    with pytest.raises(ConfigError, match=r"runtime\.threads"):
        execution_of(RuntimeConfig(threads=-1), networks=networks)
