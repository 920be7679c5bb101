"""Recording of functions, copies beside the computing, and batches by memory.

Every test runs on the CPU, where the same contract holds without a graph, and on a GPU if any.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.gpu_transfer import Transfers, overlapped
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime.graphs import Pool, capture
from latentsync.runtime.memory import fitting_batch

NAMES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=NAMES)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


def both(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return x * 2 + y, (x - y).relu()


def test_a_graph_gives_what_its_function_gives(device: torch.device) -> None:
    graph = capture(both, *torch.zeros(2, 3, 4, device=device).unbind())
    for seed in range(3):
        x, y = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed)).to(device)
        for result, expected in zip(graph(x, y), both(x, y), strict=True):
            assert result.device.type == device.type
            torch.testing.assert_close(result, expected)


def test_one_result_comes_as_a_tuple_too(device: torch.device) -> None:
    (result,) = capture(torch.exp, torch.zeros(2, device=device))(torch.ones(2))
    torch.testing.assert_close(result.cpu(), torch.ones(2).exp())


def test_inputs_may_come_from_elsewhere_in_another_format(device: torch.device) -> None:
    example = torch.zeros(4, device=device, dtype=torch.bfloat16)
    (result,) = capture(lambda x: x + 1, example)(torch.full((4,), 1.5, dtype=torch.float64))
    assert result.dtype == torch.bfloat16
    assert result.tolist() == [2.5] * 4


def test_a_result_outlives_the_next_call(device: torch.device) -> None:
    graph = capture(lambda x: x + 1, torch.zeros(2, device=device))
    (first,) = graph(torch.zeros(2))
    graph(torch.full((2,), 5.0))
    assert first.tolist() == [1, 1]


def test_graphs_of_one_pool_take_turns_in_any_order(device: torch.device) -> None:
    pool, x = Pool(), torch.randn(64, 64, device=device)
    square = capture(lambda x: (x @ x).tanh() @ x, x, pool=pool)
    chain = capture(lambda x, y: (x @ y).sin() @ y, x, x, pool=pool)
    (a,) = square(x)
    for _ in range(2):
        (b,) = chain(x, a)
        (again,) = square(x)
        torch.testing.assert_close(again, a)
        torch.testing.assert_close(b, (x @ a).sin() @ a)


def test_weights_that_change_in_place_count(device: torch.device) -> None:
    layer = nn.Linear(2, 2).to(device)
    graph, x = capture(layer, torch.zeros(1, 2, device=device)), torch.ones(1, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(3.0)
    assert graph(x)[0].tolist() == [[3, 3]]


def test_no_gradients_are_kept(device: torch.device) -> None:
    layer = nn.Linear(2, 2).to(device)
    assert not capture(layer, torch.zeros(1, 2, device=device))(torch.ones(1, 2))[0].requires_grad


def test_another_shape_is_refused(device: torch.device) -> None:
    graph = capture(both, torch.zeros(3, device=device), torch.zeros(3, device=device))
    with pytest.raises(ValueError, match=r"takes tensors of \[\(3,\), \(3,\)\], not \[\(4,\)"):
        graph(torch.zeros(4), torch.zeros(3))
    with pytest.raises(ValueError, match="takes tensors of"):
        graph(torch.zeros(3))
    with pytest.raises(ValueError, match="needs examples"):
        capture(both)


def test_a_step_of_the_u_net_can_be_recorded(device: torch.device) -> None:
    """Nothing in it comes from the CPU or waits for it, whole or with the step cache."""
    torch.manual_seed(0)
    unet = UNet3DConditionModel(block_out_channels=[32, 64, 96, 96]).to(device).eval()
    sample, audio = torch.randn(1, 13, 2, 8, 8, device=device), torch.randn(2, 50, 384).to(device)
    time = torch.tensor(951.0, device=device)
    whole = capture(unet.step, sample, time, audio)
    with torch.no_grad():
        noise, deep = unet.step(sample, 17, audio)
        cheap, _ = unet.step(sample + 1, 5, audio, cached=deep)
    cached = capture(lambda s, t, a, d: unet.step(s, t, a, cached=d), sample, time, audio, deep)
    for result, expected in (
        (whole(sample, torch.tensor(17), audio)[0], noise),
        (cached(sample + 1, torch.tensor(5), audio, deep)[0], cheap),
    ):
        torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)  # TF32 may be on


def test_what_is_sent_no_longer_changes(device: torch.device) -> None:
    source = torch.ones(1000)
    arriving = Transfers(device).to_device(source)
    source.zero_()
    (arrived,) = arriving.tensors()
    assert arrived.device.type == device.type
    assert arrived.sum() == 1000


def test_what_comes_back_is_complete(device: torch.device) -> None:
    transfers, x = Transfers(device), torch.ones(256, 256, device=device)
    for _ in range(20):
        x = (x @ x) / 256  # under way while the copy is asked for
    result = transfers.to_host(x).tensor()
    assert result.device.type == "cpu"
    assert (result == 1).all()


def test_overlapped_chunks_come_out_in_order(device: torch.device) -> None:
    chunks = [(torch.full((100,), float(n)), torch.full((100,), 10.0)) for n in range(5)]
    results = list(overlapped(chunks, lambda x, y: x * y, Transfers(device)))
    assert [result[0].item() for result in results] == [0, 10, 20, 30, 40]
    assert all(result.device.type == "cpu" and len(result) == 100 for result in results)
    assert list(overlapped([], lambda: torch.zeros(1), Transfers(device))) == []


def test_no_more_than_two_chunks_are_read_ahead(device: torch.device) -> None:
    read = []

    def chunks() -> object:
        for number in range(6):
            read.append(number)
            yield (torch.tensor([float(number)]),)

    for number, result in enumerate(overlapped(chunks(), lambda x: x, Transfers(device))):
        assert result.item() == number
        assert len(read) == min(number + 3, 6)


def test_off_cuda_a_batch_is_not_tried() -> None:
    runs: list[int] = []
    assert fitting_batch(runs.append, most=16, device=torch.device("cpu")) == 16
    assert runs == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU's memory")
def test_a_batch_fits_into_free_memory() -> None:
    device = torch.device("cuda")
    free = torch.cuda.mem_get_info(device)[0]

    def run(count: int) -> Tensor:
        return torch.empty(count * free // 9, dtype=torch.uint8, device=device)

    assert fitting_batch(run, most=16, device=device) == 4  # 16 and 8 ninths do not, 4 do
    assert fitting_batch(lambda count: None, most=16, device=device) == 16
