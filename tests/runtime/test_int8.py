"""In 8-bit integers a network is near to what it was, and what is said of that is true."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latentsync.errors import ConfigError
from latentsync.runtime import cache
from latentsync.runtime.execution import Execution
from latentsync.runtime.int8 import BEST, NOTE, compare
from latentsync.runtime.network import Networks, Part

CPU = torch.device("cpu")
PLAIN = Execution(CPU, "openvino", torch.float32, 1)
INT8 = Execution(CPU, "openvino", torch.float32, 1, int8=True)
PICTURE = Part("picture", lambda net: net, int8=True)
OTHER = Part("other", lambda net: net)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


def pictures(count: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(1, 3, 16, 16, generator=generator) * 2 - 1 for _ in range(count)]


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Execution], Networks]:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").write_text("seed 0")

    def make(execution: Execution) -> Networks:
        return Networks(
            lambda dtype: Small().eval().requires_grad_(False).to(dtype),
            name="small",
            checkpoint=tmp_path / "weights",
            execution=execution,
        )

    return make


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def test_a_part_in_int8_is_near_and_others_are_as_they_were(networks) -> None:
    note = networks(PLAIN).quantize(PICTURE, pictures(8, 1), pictures(3, 2))
    assert (note.examples, note.checked) == (8, 3) and 30 < note.worst <= note.psnr < 70
    (given,) = pictures(1, 3)
    plain, fast = networks(PLAIN), networks(INT8)
    wanted, found = plain.part(PICTURE, given)(given)[0], fast.part(PICTURE, given)(given)[0]
    assert 1e-4 < distance(found, wanted) < 0.05
    assert distance(fast.part(OTHER, given)(given)[0], wanted) < 1e-6


def test_a_graph_that_is_not_there_is_asked_for_and_never_replaced_by_another(networks) -> None:
    (given,) = pictures(1, 1)
    with pytest.raises(ConfigError, match="small \\(picture\\) is not there in int8 yet; make it"):
        networks(INT8).part(PICTURE, given)
    networks(PLAIN).quantize(PICTURE, pictures(2, 1), pictures(1, 2))
    path = networks(INT8).int8_file(PICTURE, given)
    path.with_name(NOTE).unlink()
    with pytest.raises(ConfigError, match="not there in int8 yet"):
        networks(INT8).part(PICTURE, given)


def test_making_it_again_replaces_it(networks) -> None:
    (given,) = pictures(1, 1)
    networks(PLAIN).quantize(PICTURE, [0.1 * one for one in pictures(4, 1)], pictures(1, 2))
    narrow = networks(INT8).part(PICTURE, given)(given)[0]
    note = networks(PLAIN).quantize(PICTURE, pictures(4, 1), pictures(1, 2))
    again = networks(INT8)
    assert distance(again.part(PICTURE, given)(given)[0], narrow) > 0.01
    assert note.examples == 4 and len(list(cache.folder().glob("*/int8.json"))) == 1


def test_a_machine_without_nncf_says_what_to_install(networks, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[int8\]'"):
        networks(PLAIN).quantize(PICTURE, pictures(2, 1), pictures(1, 2))


def test_a_graph_that_cannot_be_kept_is_an_error(networks, monkeypatch) -> None:
    plain = networks(PLAIN)
    plain.part(PICTURE, *pictures(1, 1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("latentsync.runtime.int8.write_note", full)
    with pytest.raises(ConfigError, match="cannot be kept"):
        plain.quantize(PICTURE, pictures(2, 1), pictures(1, 2))


def test_the_distance_is_that_of_pictures_and_the_worst_one_is_named() -> None:
    def run(error: float) -> Callable[[Tensor], tuple[Tensor, ...]]:
        return lambda x: (x * 0 + error * x.mean(),)

    given = [torch.full((1, 3, 4, 4), value) for value in (1.0, 0.1)]
    note = compare(run(0), run(0), run(0.02), given, examples=7)
    assert note.worst == pytest.approx(40) and note.psnr == pytest.approx(50)
    assert (note.examples, note.checked) == (7, 2) and note.speedup > 0
    assert compare(run(1), run(1), run(1), given, examples=1).psnr == BEST
    with pytest.raises(ConfigError, match="NaN or infinity"):
        compare(run(1), run(1), run(float("nan")), given, examples=1)
    beyond = compare(run(2), run(2), run(5), given[:1], examples=1)
    assert beyond.psnr == BEST, "a picture shows no more than 1"
