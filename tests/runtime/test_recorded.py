"""Networks on a GPU are recorded as graphs once a shape comes often.

Here the tensors are on a CPU, where a graph is the function itself; tests/parity/test_cuda.py has
the same on a GPU.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latentsync.runtime import graphs
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.graphs import MOST, UNRECORDED, Captured, Recorded, capture
from latentsync.runtime.group_norm import ChannelsLastNorm
from latentsync.runtime.memory import to_host, with_need
from latentsync.runtime.network import Eager, Networks, Part

WHOLE = Part("whole", lambda net: net)
CUDA = torch.device("cuda")


def halved(x: Tensor) -> tuple[Tensor, ...]:
    return (x / 2,)


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what is recorded."""
    shapes: list[tuple[int, ...]] = []

    def noted(
        function: Callable[..., tuple[Tensor, ...]], *examples: Tensor, pool: object
    ) -> Captured:
        shapes.append(tuple(examples[0].shape))
        return capture(function, *examples)

    monkeypatch.setattr(graphs, "capture", noted)
    return shapes


def recorded() -> Recorded:
    return Recorded(halved, lambda x: x)


def calls(run: Recorded, length: int, times: int) -> None:
    for number in range(times):
        (result,) = run(torch.full((length,), float(number)))
        assert result.tolist() == [number / 2] * length


def test_a_shape_is_recorded_once_it_has_come_often(captured: list[tuple[int, ...]]) -> None:
    run = recorded()
    calls(run, 3, UNRECORDED)
    assert captured == []
    calls(run, 3, 4)
    calls(run, 5, UNRECORDED)
    assert captured == [(3,)]


def test_only_so_many_shapes_are_recorded(captured: list[tuple[int, ...]]) -> None:
    run = recorded()
    for length in range(1, MOST + 4):
        calls(run, length, UNRECORDED + 2)
    assert len(captured) == MOST


def test_nothing_is_recorded_where_memory_is_short(
    captured: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "with_need", lambda act, _device: (act(), 100))
    monkeypatch.setattr(graphs, "free_bytes", lambda _device: 399)
    calls(recorded(), 3, 5)
    assert captured == []
    monkeypatch.setattr(graphs, "free_bytes", lambda _device: 400)
    calls(recorded(), 3, 5)
    assert captured == [(3,)]


def test_what_cannot_be_recorded_runs_without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def fails(*_: object, **__: object) -> None:
        tried.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "capture", fails)
    calls(recorded(), 3, 6)
    assert tried == [1], "a failure costs time: it is not repeated"


def test_a_call_that_fails_does_not_spoil_the_next(captured: list[tuple[int, ...]]) -> None:
    fails = False

    def halved_or_not(x: Tensor) -> tuple[Tensor, ...]:
        if fails:
            raise MemoryError
        return halved(x)

    run = Recorded(halved_or_not, lambda x: x)
    calls(run, 3, UNRECORDED - 1)
    fails = True
    with pytest.raises(MemoryError):
        calls(run, 3, 1)
    fails = False
    calls(run, 3, 3)
    assert captured == [(3,)]


def test_pytorch_records_on_a_gpu_alone(tmp_path: Path) -> None:
    def kind(execution: Execution) -> type:
        own = Networks(lambda _: nn.Identity(), name="", checkpoint=tmp_path, execution=execution)
        return type(own.part(WHOLE, torch.zeros(1)))

    assert kind(Execution(CUDA, "torch", torch.bfloat16)) is Recorded
    assert kind(REFERENCE) is Eager


@pytest.mark.parametrize(
    ("execution", "ours"),
    [
        (Execution(CUDA, "torch", torch.bfloat16), True),
        (Execution(CUDA, "torch", torch.float32), False),
        (REFERENCE, False),
    ],
    ids=str,
)
def test_in_16_bits_on_a_gpu_norms_keep_the_layout(
    execution: Execution, ours: bool, tmp_path: Path
) -> None:
    built = nn.Sequential(nn.GroupNorm(2, 4))
    Networks(lambda _: built, name="", checkpoint=tmp_path, execution=execution)
    assert isinstance(built[0], ChannelsLastNorm) == ours


def test_off_the_gpu_copies_and_needs_are_plain() -> None:
    x = torch.arange(4.0)
    assert to_host(x).tolist() == [0, 1, 2, 3]
    assert with_need(lambda: 7, x.device) == (7, 0)


def test_where_memory_runs_out_all_graphs_are_dropped_and_the_call_is_made_again(
    captured: list[tuple[int, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    other = recorded()
    calls(other, 3, 4)
    kept = [weakref.ref(one) for one in other._graphs.values()]

    def needs_much(x: Tensor) -> tuple[Tensor, ...]:
        gc.collect()
        if any(one() is not None for one in kept):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return halved(x)

    calls(Recorded(needs_much, lambda x: x), 5, 1)
    assert [record.message for record in caplog.records if "memory ran out" in record.message]
    calls(other, 3, 4)
    assert captured == [(3,)], "what had to give way is not recorded again"
    calls(other, 7, 4)
    assert captured == [(3,), (7,)]


def test_where_no_graph_keeps_memory_its_lack_is_an_error_at_once() -> None:
    tried = []

    def needs_more(x: Tensor) -> tuple[Tensor, ...]:
        tried.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    graphs._drop_graphs()
    with pytest.raises(torch.OutOfMemoryError):
        Recorded(needs_more, lambda x: x)(torch.zeros(3))
    assert tried == [1]
