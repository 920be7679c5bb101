"""What shows of a patch, and what has to be computed for it: arithmetic on boxes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from GFPGAN.window import GRID, SIDES, WHOLE, cut, halved, levels, snapped
from latentsync.restoration.patch import PatchWindow, residual
from latentsync.types import Box

MOUTH = Box(149, 328, 365, 457)  # of a real face
HIGHPASS_SIGMA = 512 / 56


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Not empty, inside the image."""
    across = sorted(draw(st.lists(st.integers(0, 512), min_size=2, max_size=2, unique=True)))
    down = sorted(draw(st.lists(st.integers(0, 512), min_size=2, max_size=2, unique=True)))
    return Box(across[0], down[0], across[1], down[1])


def holds(outer: Box, inner: Box) -> bool:
    return outer.joined(inner) == outer


def numbers(box: Box) -> tuple[int, ...]:
    return box.x0, box.y0, box.x1, box.y1


@given(boxes())
def test_every_level_holds_what_the_next_one_is_doubled_from(window: Box) -> None:
    plan = levels(window)
    assert [level.side for level in plan] == list(SIDES)
    assert holds(plan[-1].painted, window)
    for level, following in pairwise(plan):
        assert holds(level.read, halved(following.read))
        assert holds(level.painted, halved(following.painted))


@given(boxes())
def test_parts_are_even_inside_their_layer_and_painted_where_they_are_read(window: Box) -> None:
    for level in levels(window):
        assert holds(level.read, level.painted)
        assert holds(Box(0, 0, level.side, level.side), level.read)
        assert all(number % 2 == 0 for number in numbers(level.read) + numbers(level.painted))


def test_the_whole_image_needs_all_of_every_layer() -> None:
    for level in levels(WHOLE):
        assert level.read == level.painted == Box(0, 0, level.side, level.side)


@pytest.mark.parametrize("window", [Box(5, 5, 5, 9), Box(-1, 0, 9, 9), Box(0, 0, 9, 513)])
def test_a_window_that_is_none_is_refused(window: Box) -> None:
    with pytest.raises(ValueError, match="a window lies inside"):
        levels(window)


@given(boxes())
def test_a_snapped_window_holds_the_box_and_lies_on_the_grid(box: Box) -> None:
    window = snapped(box)
    assert holds(window, box)
    assert all(number % GRID == 0 for number in numbers(window))


def test_mouths_of_different_people_share_a_window() -> None:
    others = Box(136, 345, 372, 485), Box(133, 330, 358, 465)
    for mouth in (MOUTH, *others):
        needed = Box(mouth.x0 - 28, mouth.y0 - 28, mouth.x1 + 28, min(mouth.y1 + 28, 512))
        assert snapped(needed) == Box(96, 288, 416, 512)


def test_a_box_of_nearly_everything_is_the_whole_image() -> None:
    assert snapped(Box(20, 60, 490, 500)) == WHOLE


def test_a_part_of_a_part_is_cut_where_it_lies() -> None:
    layer = torch.arange(64.0).reshape(1, 1, 8, 8)
    part = cut(layer, WHOLE, Box(2, 1, 7, 6))
    assert torch.equal(cut(part, Box(2, 1, 7, 6), Box(3, 4, 5, 6)), layer[:, :, 4:6, 3:5])
    assert cut(layer, MOUTH, MOUTH) is layer


def mask(box: Box = MOUTH) -> np.ndarray:
    full = np.zeros((512, 512), np.float32)
    full[box.y0 : box.y1, box.x0 : box.x1] = np.linspace(0.1, 1, box.x1 - box.x0)
    return full


def images(seed: int) -> torch.Tensor:
    return torch.rand((1, 3, 512, 512), generator=torch.manual_seed(seed)) * 2 - 1


def test_what_shows_is_the_mask_s_box_and_what_is_needed_lies_around() -> None:
    window = PatchWindow.of(mask(), highpass_sigma=HIGHPASS_SIGMA)
    assert window.shown == MOUTH
    assert window.needed == Box(149 - 28, 328 - 28, 365 + 28, 457 + 28)
    assert np.array_equal(window.mask, mask()[328:457, 149:365])


def test_what_is_needed_ends_with_the_patch() -> None:
    assert PatchWindow.of(mask(Box(3, 400, 300, 512)), highpass_sigma=HIGHPASS_SIGMA).needed == Box(
        0, 372, 328, 512
    )


def test_without_a_high_pass_no_halo_is_needed() -> None:
    assert PatchWindow.of(mask(), highpass_sigma=0).needed == MOUTH


def test_an_empty_mask_cuts_nothing_off() -> None:
    assert PatchWindow.of(np.zeros((40, 30), np.float32), highpass_sigma=2).shown == Box(
        0, 0, 30, 40
    )


@pytest.mark.parametrize("box", [MOUTH, Box(0, 400, 300, 512)], ids=["inside", "at the border"])
def test_the_residual_that_shows_does_not_depend_on_the_rest(box: Box) -> None:
    window = PatchWindow.of(mask(box), highpass_sigma=HIGHPASS_SIGMA)
    restored, source = images(0), images(1)
    whole = residual(restored, source, highpass_sigma=HIGHPASS_SIGMA)
    spared = source.clone()
    needed = (
        ...,
        slice(window.needed.y0, window.needed.y1),
        slice(window.needed.x0, window.needed.x1),
    )
    spared[needed] = restored[needed]
    shown = whole[..., box.y0 : box.y1, box.x0 : box.x1]
    torch.testing.assert_close(window.residuals(spared, source), shown, rtol=0, atol=1e-5)


def test_the_matrix_leads_to_the_part_that_shows() -> None:
    matrix = np.array([[0.5, 0.1, 20.0], [-0.1, 0.5, 30.0]])
    place = np.array([40.0, 50.0, 1.0])
    window = PatchWindow.of(mask(), highpass_sigma=0)
    np.testing.assert_allclose(window.matrix(matrix) @ place, matrix @ place - [149, 328])
