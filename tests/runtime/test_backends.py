"""A small network through every backend, against the same network called as it is."""

from __future__ import annotations

import logging
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tests.runtime.test_backends as this_module
from latentsync.errors import ConfigError
from latentsync.runtime import compiled
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.heartbeat import heartbeat
from latentsync.runtime.network import Networks, Part
from latentsync.runtime.openvino import plugins

CPU = torch.device("cpu")
OPENVINO = Execution(CPU, "openvino", torch.float32, 1)
BF16_TOLERANCE = 0.05  # of outputs of size 1; an 8-bit mantissa, over two layers, gives about 0.01
SHAPE = (2, 3, 16, 16)


class Small(nn.Module):
    """A image -> features, and for each place the number of the strongest of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.second(torch.relu(self.first(x)))
        return features, features.argmax(dim=1)


class Built:
    """The network, and how often it was built in which format."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network = Small().eval().requires_grad_(False)
        self.formats: list[torch.dtype] = []

    def __call__(self, dtype: torch.dtype) -> nn.Module:
        self.formats.append(dtype)
        copy = Small().eval().requires_grad_(False)
        copy.load_state_dict(self.network.state_dict())
        return copy.to(dtype)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").write_text("seed 0")
    return Built()


@pytest.fixture
def image() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def networks(built: Built, tmp_path: Path) -> Callable[..., Networks]:
    def make(execution: Execution, **options) -> Networks:
        options = {"name": "small", "checkpoint": tmp_path / "weights"} | options
        return Networks(built, execution=execution, **options)

    return make


WHOLE = Part("whole", lambda net: net)
PRECISE = Part("whole, precisely", lambda net: net, precise=True)


def test_the_reference_is_the_network_bit_by_bit(networks, built, image) -> None:
    run = networks(REFERENCE).part(WHOLE, image)
    for given, wanted in zip(run(image), built.network(image), strict=True):
        assert torch.equal(given, wanted)
        assert not given.requires_grad


def test_openvino_in_float32_differs_by_rounding_alone(networks, built, image) -> None:
    features, strongest = networks(OPENVINO).part(WHOLE, image)(image)
    wanted, wanted_strongest = built.network(image)
    torch.testing.assert_close(features, wanted, rtol=0, atol=1e-5)
    assert torch.equal(strongest.long(), wanted_strongest)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_bfloat16_is_close_and_a_precise_part_is_exact(networks, built, image, backend) -> None:
    if backend == "openvino" and "BF16" not in plugins()["CPU"]:
        pytest.skip("this processor does not compute in bf16")
    shared = networks(Execution(CPU, backend, torch.bfloat16, 1))
    wanted = built.network(image)[0]
    rough = shared.part(WHOLE, image)(image)[0].float()
    exact = shared.part(PRECISE, image)(image)[0]
    assert 1e-4 < (rough - wanted).abs().max() < BF16_TOLERANCE
    torch.testing.assert_close(exact, wanted, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:dynamo_pgo")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_it_gives_the_same_or_says_what_is_missing(
    networks, built, image, monkeypatch
) -> None:
    from torch._inductor import config

    execution = Execution(CPU, "compile", torch.float32, 1)
    features = networks(execution).part(WHOLE, image)(image)[0]
    torch.testing.assert_close(features, built.network(image)[0], rtol=0, atol=1e-5)
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    torch._dynamo.reset()
    with pytest.raises(
        ConfigError, match=r"runtime\.backend: compile; it needs a working C\+\+ compiler"
    ):
        compiled.check(CPU)


def test_runners_of_the_same_part_and_shape_are_shared(networks, built, image) -> None:
    for execution in (REFERENCE, OPENVINO):
        shared = networks(execution)
        run = shared.part(WHOLE, image)
        assert shared.part(WHOLE, torch.zeros(SHAPE)) is run
        assert shared.part(WHOLE, image[:1]) is not run
        assert shared.part(PRECISE, image) is not run
    assert built.formats == [torch.float32] * 2


def test_openvino_refuses_another_shape(networks, image) -> None:
    run = networks(OPENVINO).part(WHOLE, image)
    with pytest.raises(ValueError, match=r"takes shapes \[\(2, 3, 16, 16\)\], not \[\(1, "):
        run(image[:1])


def test_results_do_not_change_with_the_next_call(networks, image) -> None:
    run = networks(OPENVINO).part(WHOLE, image)
    first = run(image)[0]
    before = first.clone()
    run(-image)
    assert torch.equal(first, before)


def test_the_network_is_built_only_for_what_is_not_in_the_cache(networks, built, image) -> None:
    first = networks(OPENVINO).part(WHOLE, image)(image)[0]
    assert built.formats == [torch.float32]
    again = networks(OPENVINO).part(WHOLE, image)(image)[0]
    assert built.formats == [torch.float32]
    assert torch.equal(again, first)


def test_released_weights_are_read_again_when_they_are_needed(networks, built, image) -> None:
    shared = networks(OPENVINO)
    run = shared.part(WHOLE, image)
    shared.release()
    shared.part(WHOLE, image[:1])
    assert built.formats == [torch.float32] * 2
    assert run(image)[0].shape == (2, 8, 16, 16)


def test_other_weights_sources_and_variants_are_other_graphs(
    networks, built, image, tmp_path
) -> None:
    networks(OPENVINO).part(WHOLE, image)
    for options in ({"sources": [this_module]}, {"variant": "other"}, {"name": "other"}):
        networks(OPENVINO, **options).part(WHOLE, image)
    built.network = Built(seed=1).network
    (tmp_path / "weights").write_text("seed 1!")
    run = networks(OPENVINO).part(WHOLE, image)
    assert len(built.formats) == 5
    torch.testing.assert_close(run(image)[0], built.network(image)[0], rtol=0, atol=1e-5)


@contextmanager
def files_of_at_most(count: int) -> Iterator[None]:
    """Bytes. The system refuses to write more, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_graph_that_cannot_be_written_is_run_all_the_same(networks, built, image, caplog) -> None:
    shared = networks(OPENVINO)
    shared._key(WHOLE, (image,))  # stores the hash of the weights file
    with files_of_at_most(3000):
        run = shared.part(WHOLE, image)
    assert "the graph is not cached" in caplog.text
    torch.testing.assert_close(run(image)[0], built.network(image)[0], rtol=0, atol=1e-5)
    networks(OPENVINO).part(WHOLE, image)
    assert built.formats == [torch.float32] * 2


def test_long_work_is_logged_while_it_runs(caplog) -> None:
    caplog.set_level(logging.INFO, logger="latentsync")
    with heartbeat("converting", every=0.01):
        deadline = time.monotonic() + 10
        while len(caplog.records) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "so far" in caplog.records[1].message
    assert caplog.records[0].message.startswith("converting, once")
    assert "converting: done in" in caplog.records[-1].message
