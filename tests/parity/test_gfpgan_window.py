"""A window of GFPGAN's image is the same, whether the rest is painted or not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from GFPGAN import window as arithmetic
from GFPGAN.network import GFPGANv1Clean, InWindow
from GFPGAN.restorer import GFPGANRestorer
from GFPGAN.window import WHOLE
from latentsync.restoration.base import Windowed
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.int8 import Note
from latentsync.runtime.network import Networks, Part
from latentsync.types import Box

TOLERANCE = 5e-5  # 0.006 of a code value; 1.3e-5 of +-3.5 is seen, from another order of sums
MOUTH = Box(96, 288, 416, 512)
TINY = Box(201, 203, 230, 222)
WINDOWS = {
    "a mouth, down to the border": MOUTH,
    "odd numbers, in a corner": Box(0, 0, 65, 97),
    "tiny, in the middle": TINY,
}


@pytest.fixture
def network(gfpgan: GFPGANv1Clean) -> GFPGANv1Clean:
    return gfpgan


@pytest.fixture
def painted(restored_face: Tensor) -> Tensor:
    return restored_face


def inside(image: Tensor, window: Box) -> Tensor:
    return image[:, :, window.y0 : window.y1, window.x0 : window.x1]


def operations(network: torch.nn.Module) -> int:
    with FlopCounterMode(display=False) as counted:
        network(torch.empty(1, 3, 512, 512, device="meta"))
    return counted.get_total_flops()


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_window_is_what_the_whole_image_shows_there(
    network: GFPGANv1Clean, one_face: Tensor, painted: Tensor, window: Box
) -> None:
    alone = InWindow(network, window)(one_face)
    torch.testing.assert_close(alone, inside(painted, window), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("halo", ["_DECODER", "_CONDITIONS"])
def test_a_narrower_halo_would_show(
    network: GFPGANv1Clean,
    one_face: Tensor,
    painted: Tensor,
    halo: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arithmetic, halo, getattr(arithmetic, halo) - 1)
    spoilt = network(one_face, TINY) - inside(painted, TINY)
    assert spoilt.abs().max() > 50 * TOLERANCE


def test_a_mouth_takes_less_than_half_of_the_work() -> None:
    with torch.device("meta"):
        network = GFPGANv1Clean()
    whole = operations(network)
    assert operations(InWindow(network, WHOLE)) == whole
    assert operations(InWindow(network, MOUTH)) < 0.43 * whole


def test_the_restorer_restores_the_window_and_leaves_the_rest_as_it_is(
    network: GFPGANv1Clean, one_face: Tensor, painted: Tensor
) -> None:
    path = Path("not-read.pth")
    networks = Networks(lambda _: network, name="GFPGAN", checkpoint=path, execution=REFERENCE)
    whole = GFPGANRestorer(networks, fidelity=0.25)
    assert isinstance(whole, Windowed)
    restored = whole.within(Box(110, 300, 400, 500))(one_face)
    expected = torch.lerp(painted.clamp(-1, 1), one_face, 0.25)
    torch.testing.assert_close(
        inside(restored, MOUTH), inside(expected, MOUTH), rtol=0, atol=TOLERANCE
    )
    around = torch.ones(512, 512, dtype=torch.bool)
    around[MOUTH.y0 : MOUTH.y1, MOUTH.x0 : MOUTH.x1] = False
    assert torch.equal(restored[0, :, around], one_face[0, :, around])


def test_windows_of_one_network_restored_at_once_are_as_if_one_after_the_other(
    network: GFPGANv1Clean, one_face: Tensor
) -> None:
    path = Path("not-read.pth")
    networks = Networks(lambda _: network, name="GFPGAN", checkpoint=path, execution=REFERENCE)
    whole = GFPGANRestorer(networks, fidelity=0.0)
    boxes = [Box(0, 0, 64, 64), Box(200, 200, 232, 232)] * 2
    expected = [whole.within(box)(one_face) for box in boxes[:2]]
    with ThreadPoolExecutor(len(boxes)) as pool:
        made = list(pool.map(lambda box: whole.within(box)(one_face), boxes))
    assert all(map(torch.equal, made, expected * 2))
    assert not torch.equal(expected[0], expected[1])


class _Prepared:
    """In place of networks: the names of the parts that are prepared, and all are there in int8."""

    checkpoint = Path("weights")

    def __init__(self, execution: Execution) -> None:
        self.execution, self.names = execution, list[str]()
        self.in_int8: dict[str, Note] = {}

    def part(self, part: Part, *_examples: Tensor) -> None:
        assert part.int8
        self.names.append(part.name)

    def quantize(self, part: Part, examples: list[Tensor], checked: list[Tensor]) -> Note:
        self.names.append(part.name)
        return Note(len(examples), len(checked), 40, 39, 1.8)

    def release(self) -> None:
        pass


def test_in_int8_a_face_gets_the_smallest_window_that_there_is() -> None:
    mouth, lower = "columns 96 to 416, rows 288 to 512", "columns 64 to 448, rows 224 to 512"
    tiny, large = "columns 192 to 256, rows 192 to 224", "columns 64 to 416, rows 288 to 512"
    for int8, wanted in ((False, [mouth, large, tiny]), (True, [mouth, lower, "whole"])):
        networks = _Prepared(replace(REFERENCE, int8=int8))
        restorer = GFPGANRestorer(cast(Networks, networks), fidelity=0.0)
        for box in (Box(110, 300, 400, 520), Box(90, 300, 400, 500), TINY, Box(0, 0, 512, 512)):
            restorer.within(box)
        assert networks.names == [*wanted, "whole"]


def test_every_window_that_int8_takes_is_made_from_all_faces() -> None:
    networks, begun = _Prepared(REFERENCE), list[str]()
    restorer = GFPGANRestorer(cast(Networks, networks), fidelity=0.0)
    notes = restorer.quantize(torch.zeros(5, 3, 8, 8), torch.zeros(2, 3, 8, 8), begun.append)
    assert networks.names == begun == list(notes) and len(begun) == 3
    assert {(note.examples, note.checked) for note in notes.values()} == {(5, 2)}
    taken = _Prepared(replace(REFERENCE, int8=True))
    for box in (MOUTH, Box(90, 300, 400, 500), WHOLE):
        GFPGANRestorer(cast(Networks, taken), fidelity=0.0).within(box)
    assert taken.names == begun
