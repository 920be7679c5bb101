"""auto is the fastest of the machine; a named option is used, or refused."""

from __future__ import annotations

import logging

import pytest
import torch

from latentsync.errors import ConfigError
from latentsync.runtime.device import thread_count
from latentsync.runtime.execution import (
    REFERENCE,
    Execution,
    Machine,
    configure_execution,
    execution_for,
    torch_threads,
)
from latentsync.settings.schema import RuntimeConfig

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
PLAIN = frozenset({"FP32", "INT8"})
MACHINES = {
    "with bf16": Machine(CPU, plugins={"CPU": PLAIN | {"BF16"}}),
    "without bf16": Machine(CPU, plugins={"CPU": PLAIN}),
    "with an Intel GPU": Machine(CPU, plugins={"CPU": PLAIN, "GPU.1": PLAIN | {"FP16"}}),
    "without OpenVINO": Machine(CPU),
    "Turing": Machine(CUDA, (7, 5)),
    "Ampere": Machine(CUDA, (8, 0)),
    "Apple": Machine(MPS),
}


@pytest.mark.parametrize(
    ("machine", "backend", "dtype", "plugin"),
    [
        ("with bf16", "openvino", torch.bfloat16, "CPU"),
        ("without bf16", "openvino", torch.float32, "CPU"),
        ("with an Intel GPU", "openvino", torch.float16, "GPU.1"),
        ("without OpenVINO", "torch", torch.float32, "CPU"),
        ("Turing", "torch", torch.float32, "CPU"),  # upstream's rule
        ("Ampere", "torch", torch.bfloat16, "CPU"),
        ("Apple", "torch", torch.float32, "CPU"),
    ],
)
def test_auto_takes_what_is_fastest(machine, backend, dtype, plugin) -> None:
    chosen = execution_for(RuntimeConfig(), MACHINES[machine])
    assert chosen == Execution(MACHINES[machine].device, backend, dtype, 0, plugin)


def test_the_reference_is_available_by_name() -> None:
    for machine in ("with bf16", "without OpenVINO"):
        wanted = RuntimeConfig(device="cpu", backend="torch", precision="fp32")
        assert execution_for(wanted, MACHINES[machine]) == REFERENCE


def test_plain_torch_on_a_cpu_is_the_reference_by_default() -> None:
    assert execution_for(RuntimeConfig(backend="torch"), MACHINES["with bf16"]) == REFERENCE
    faster = execution_for(RuntimeConfig(backend="torch", precision="bf16"), MACHINES["with bf16"])
    assert faster.dtype == torch.bfloat16


def test_int8_is_asked_for_and_the_rest_runs_in_the_fastest() -> None:
    for machine, dtype in (("with bf16", torch.bfloat16), ("without bf16", torch.float32)):
        chosen = execution_for(RuntimeConfig(precision="int8"), MACHINES[machine])
        assert (chosen.int8, chosen.dtype) == (True, dtype)
    assert "int8 where that can be, else fp32" in str(chosen)
    assert not execution_for(RuntimeConfig(), MACHINES["with bf16"]).int8


def test_device_cpu_is_the_cpu() -> None:
    assert execution_for(RuntimeConfig(device="cpu"), MACHINES["with an Intel GPU"]).plugin == "CPU"


@pytest.mark.parametrize(
    ("machine", "backend", "precision", "complaint"),
    [
        (
            "with bf16",
            "openvino",
            "fp16",
            "OpenVINO on cpu supports int8, fp32, bf16; use one of these",
        ),
        (
            "without bf16",
            "auto",
            "bf16",
            "OpenVINO on cpu supports int8, fp32; use one of these, or auto",
        ),
        ("with bf16", "torch", "fp16", "PyTorch on cpu supports bf16, fp32"),
        ("with bf16", "compile", "fp16", "torch.compile on cpu"),
        ("with bf16", "torch", "int8", "PyTorch on cpu supports bf16, fp32"),
        ("with an Intel GPU", "auto", "int8", "this GPU supports fp32, fp16"),
        ("Ampere", "auto", "int8", "PyTorch on cuda supports fp32, fp16, bf16"),
        ("Turing", "torch", "bf16", "PyTorch on cuda supports fp16, fp32"),
        ("Apple", "auto", "bf16", "PyTorch on mps"),
        ("Ampere", "openvino", "auto", "does not run on cuda; use torch"),
        ("without OpenVINO", "openvino", "auto", "not installed: pip install"),
    ],
)
def test_what_is_not_available_is_refused_in_one_line(
    machine, backend, precision, complaint
) -> None:
    with pytest.raises(ConfigError) as refusal:
        execution_for(RuntimeConfig(backend=backend, precision=precision), MACHINES[machine])
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_openvino_is_logged(caplog) -> None:
    execution_for(RuntimeConfig(), MACHINES["without OpenVINO"])
    assert "OpenVINO is not installed" in caplog.text


def test_the_choice_for_this_machine_is_logged_in_one_line_and_changes_nothing(caplog) -> None:
    caplog.set_level(logging.INFO, logger="latentsync")
    before = torch.get_num_threads()
    chosen = configure_execution(RuntimeConfig(device="cpu", precision="fp32", threads=before + 1))
    assert (chosen.backend, chosen.dtype) == ("openvino", torch.float32)
    assert (chosen.threads, torch.get_num_threads()) == (before + 1, before)
    assert [record.message for record in caplog.records] == [
        f"networks: OpenVINO, fp32, CPU, {before + 1} threads"
    ]


def test_all_cores_are_as_many_as_before_pytorch_was_limited() -> None:
    before, every = torch.get_num_threads(), thread_count(0)
    try:
        torch.set_num_threads(every + 2)
        assert thread_count(0) == every
        assert configure_execution(RuntimeConfig(device="cpu")).threads == every
    finally:
        torch.set_num_threads(before)


def test_fewer_threads_than_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime\.threads: -1"):
        configure_execution(RuntimeConfig(threads=-1))


@pytest.mark.parametrize(
    ("backend", "device", "networks", "threads"),
    [
        ("openvino", CPU, True, 1),
        ("torch", CPU, True, 5),
        ("compile", CPU, True, 5),
        ("torch", CPU, False, 1),
        ("torch", CUDA, True, 1),
    ],
)
def test_pytorch_gets_more_than_one_thread_only_for_a_network_that_it_runs_on_the_cpu(
    backend: str, device: torch.device, networks: bool, threads: int
) -> None:
    execution = Execution(device, backend, torch.float32, 5)
    assert torch_threads(execution, networks=networks) == threads
