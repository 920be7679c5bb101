"""One set of loaded networks in several threads at once gives what it gives in one."""

from __future__ import annotations

import builtins
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentsync.generate.diffusion import generator as latentsync
from latentsync.generate.vae import _PosteriorCache
from latentsync.runtime import cache, openvino
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.network import Networks, Part
from latentsync.settings.schema import Config, GenerateConfig
from latentsync.types import Chunk
from tests.generate.conftest import request
from tests.support.tiny_latentsync import RESOLUTION, write_tiny_model

OPENVINO = Execution(torch.device("cpu"), "openvino", torch.float32, 1)
WHOLE = Part("whole", lambda net: net)
THREADS, TIMES, FRAMES = 4, 40, 3

T = TypeVar("T")


def at_once(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each gives; all begin at the same moment. The first failure is raised."""
    barrier = threading.Barrier(len(works))

    def work(one: Callable[[], T]) -> T:
        barrier.wait(60)
        return one()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


class Small(nn.Module):
    """Large enough for two calls to overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(6)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Slow(nn.Module):
    """Takes a while between its layers, and notes how many are at it at once."""

    at_it, most = 0, 0

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        Slow.at_it += 1
        Slow.most = max(Slow.most, Slow.at_it)
        for layer in self.net.layers:
            time.sleep(0.02)
            x = layer(x)
        Slow.at_it -= 1
        return x


class Built:
    """Builds the network, slowly; counts how often, and how many builds went on at once."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.state = Small().state_dict()
        self.count, self.going_on, self.most = 0, 0, 0

    def __call__(self, dtype: torch.dtype) -> nn.Module:
        self.count, self.going_on = self.count + 1, self.going_on + 1
        self.most = max(self.most, self.going_on)
        time.sleep(0.1)
        network = Small()
        network.load_state_dict(self.state)
        self.going_on -= 1
        return network.eval().requires_grad_(False).to(dtype)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").touch()
    return Built()


@pytest.fixture
def networks(built: Built, tmp_path: Path) -> Callable[..., Networks]:
    def make(execution: Execution = OPENVINO) -> Networks:
        return Networks(built, name="small", checkpoint=tmp_path / "weights", execution=execution)

    return make


def images(seed: int, size: int = 32) -> Tensor:
    return torch.randn(1, 8, size, size, generator=torch.Generator().manual_seed(seed))


# Networks


@pytest.mark.parametrize("execution", [REFERENCE, OPENVINO], ids=["torch", "openvino"])
def test_a_part_that_threads_request_at_once_is_made_once(
    networks: Callable[..., Networks], built: Built, execution: Execution
) -> None:
    shared = networks(execution)
    runners = at_once([lambda: shared.part(WHOLE, images(0))] * THREADS)
    assert all(one is runners[0] for one in runners)
    assert built.count == 1


def test_parts_of_other_shapes_requested_at_once_are_each_made_once(
    networks: Callable[..., Networks], built: Built
) -> None:
    shared, sizes = networks(), [16, 24] * 2
    runners = at_once([lambda size=size: shared.part(WHOLE, images(0, size)) for size in sizes])
    assert (runners[0], runners[1]) == (runners[2], runners[3])
    assert runners[0] is not runners[1]
    assert (built.count, built.most) == (1, 1), "the weights were read more than once"


def test_weights_may_be_released_while_another_thread_makes_a_part(
    networks: Callable[..., Networks],
) -> None:
    shared = networks()

    def made_and_released(size: int) -> Tensor:
        result = shared.part(WHOLE, images(0, size))(images(0, size))[0]
        shared.release()
        return result

    sizes = [16, 20, 24, 28]
    made = at_once([lambda size=size: made_and_released(size) for size in sizes])
    for size, result in zip(sizes, made, strict=True):
        assert torch.equal(result, shared.part(WHOLE, images(0, size))(images(0, size))[0])


def test_the_same_graph_for_two_engines_at_once_is_converted_once(
    networks: Callable[..., Networks], built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[None] = []
    convert = openvino.convert

    def counted(*given: Any) -> Any:
        converted.append(None)
        return convert(*given)

    monkeypatch.setattr(openvino, "convert", counted)
    both = [networks(), networks()]
    first, second = at_once(
        [lambda shared=shared: shared.part(WHOLE, images(0)) for shared in both]
    )
    assert len(converted) == 1
    assert torch.equal(first(images(1))[0], second(images(1))[0])


def test_networks_are_traced_in_turn_and_come_out_right(networks: Callable[..., Networks]) -> None:
    """Different ones, so that they do not wait for the same file of the cache."""
    parts = [Part(f"part {n}", Slow) for n in range(THREADS)]
    shared = [networks() for _ in parts]
    runners = at_once(
        [lambda n=n, p=p: n.part(p, images(0)) for n, p in zip(shared, parts, strict=True)]
    )
    assert Slow.most == 1, "PyTorch's tracer has a state of the whole process"
    for part, run in zip(parts, runners, strict=True):
        expected = networks(REFERENCE).part(part, images(0))(images(1))[0]
        torch.testing.assert_close(run(images(1))[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("execution", [REFERENCE, OPENVINO], ids=["torch", "openvino"])
def test_a_runner_in_several_threads_gives_each_its_own_result(
    networks: Callable[..., Networks], execution: Execution
) -> None:
    run = networks(execution).part(WHOLE, images(0, 64))
    given = [images(seed, 64) for seed in range(THREADS)]
    expected = [run(one)[0] for one in given]
    made = at_once([lambda one=one: [run(one)[0] for _ in range(TIMES)] for one in given])
    for results, alone in zip(made, expected, strict=True):
        assert all(torch.equal(result, alone) for result in results)


def test_a_conversion_leaves_the_process_as_it_is(networks: Callable[..., Networks]) -> None:
    seen: list[object] = []

    def watched(net: nn.Module) -> nn.Module:
        class Watched(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                seen.append((builtins.divmod, list(warnings.filters)))
                return x + 1

        return Watched().eval()

    shared = networks()
    shared.part(WHOLE, images(0))  # imports what is needed
    before, modules = (builtins.divmod, list(warnings.filters)), set(sys.modules)
    threads = torch.get_num_threads()
    shared.part(Part("watched", watched), images(0))
    assert seen and all(one == before for one in seen)
    assert (builtins.divmod, list(warnings.filters)) == before
    assert torch.get_num_threads() == threads
    assert "openvino_telemetry" not in set(sys.modules) - modules


def test_of_two_threads_that_need_a_graph_one_makes_it(built: Built) -> None:
    made: list[None] = []

    def make() -> None:
        made.append(None)
        time.sleep(0.2)

    def save(_graph: None, path: Path) -> None:
        path.touch()
        path.with_suffix(".bin").touch()

    paths = at_once([lambda: cache.kept({"key": "same"}, make, save)] * THREADS)
    assert len(made) == 1
    assert all(path == paths[0] and path.is_file() for path in paths if path is not None)


# LatentSync


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


def chunk(seed: int, index: int) -> Chunk:
    g = torch.Generator().manual_seed(seed)
    crops = torch.rand(FRAMES, 3, RESOLUTION, RESOLUTION, generator=g) * 2 - 1
    return Chunk(index, crops, torch.randn(FRAMES, 50, 384, generator=g))


@pytest.mark.parametrize("compat", [None, "upstream"])
@pytest.mark.parametrize("execution", [REFERENCE, OPENVINO], ids=["torch", "openvino"])
def test_videos_generated_at_once_are_as_if_generated_one_after_the_other(
    sections: dict[str, dict[str, Any]], execution: Execution, compat: str | None
) -> None:
    changes = sections["generate"] | {"step_cache": 2, "steps": 3, "seed": 4}
    config = Config(
        compat=compat,
        data=sections["data"] | {"num_frames": FRAMES},
        model=sections["model"],
        generate=GenerateConfig(**changes),
    )
    mask = np.ones((RESOLUTION, RESOLUTION), np.float32)
    loaded = latentsync.load(config, execution, mask=mask)

    def video(seed: int) -> list[Tensor]:
        generator = loaded.prepare(request([FRAMES] * 2))
        return [generator(chunk(seed, index)) for index in (0, 1, 0)]

    expected = [video(seed) for seed in range(2)]
    for made in at_once([lambda seed=seed: video(seed) for seed in (0, 1, 0, 1)]):
        seed = 0 if torch.equal(made[0], expected[0][0]) else 1
        assert all(map(torch.equal, made, expected[seed]))


def test_the_cache_of_posteriors_is_thread_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("latentsync.generate.vae.CACHE_BYTES", 8 * 4)  # eight numbers
    memory = _PosteriorCache()

    def use(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 24, 20_000):
            name = bytes([number])
            found = memory.get(name)
            if found is None:
                found = memory.put(name, torch.tensor([float(number)]))
            assert found.item() == number

    at_once([lambda seed=seed: use(seed) for seed in range(THREADS)])
    assert len(memory._kept) <= 8 + THREADS
