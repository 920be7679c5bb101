"""Patches over a frame: only where their masks are, each resampled once, rounded once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.face.composite import composite, composited
from latentsync.types import Frame, Patch

BLACK, GREY, WHITE = -1.0, 0.0, 1.0
seeds = st.integers(0, 2**32 - 1)


def frame(pixels: np.ndarray) -> Frame:
    return Frame(index=0, pts_seconds=0.0, pts=0, pixels=pixels)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def at(x: float, y: float, scale: float = 1.0, angle: float = 0.0) -> np.ndarray:
    """Frame -> patch for a patch whose first pixel lies at (x, y), `scale` patch pixels a pixel."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    return np.concatenate([linear, -linear @ [[x], [y]]], axis=1).astype(np.float32)


def flat(value: float, height: int, width: int) -> torch.Tensor:
    return torch.full((3, height, width), value)


def as_patch(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 127.5 - 1


def ones(height: int, width: int) -> np.ndarray:
    return np.ones((height, width), np.float32)


def oval(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.clip(1 - x * x - y * y, 0, 1).astype(np.float32)


def test_no_patch_is_the_frames_own_array() -> None:
    pixels = noise(20, 30)
    assert composite(frame(pixels), []) is pixels


def test_a_patch_that_does_not_show_is_no_patch() -> None:
    pixels = noise(20, 30)
    unseen = Patch(flat(WHITE, 8, 8), at(5, 5), np.zeros((8, 8), np.float32))
    outside = Patch(flat(WHITE, 8, 8), at(100, 5), ones(8, 8))
    assert composite(frame(pixels), [unseen, outside]) is pixels


def test_a_patch_on_whole_pixels_is_copied_bit_for_bit() -> None:
    pixels, new = noise(40, 50), noise(10, 12, seed=1)
    got = composite(frame(pixels), [Patch(as_patch(new), at(7, 9), ones(10, 12))])
    expected = pixels.copy()
    expected[9:19, 7:19] = new
    np.testing.assert_array_equal(got, expected)


@settings(deadline=None, max_examples=50)
@given(seeds, st.booleans())
def test_nothing_outside_the_mask_changes_and_the_frame_itself_never(seed, additive) -> None:
    rng = np.random.default_rng(seed)
    height, width, h, w = rng.integers(8, 90, 4)
    pixels = noise(height, width, seed)
    before = pixels.copy()
    place = at(*rng.uniform(-40, 90, 2), scale=rng.uniform(0.3, 4), angle=rng.uniform(-3, 3))
    patch = Patch(
        torch.from_numpy(rng.uniform(-1, 1, (3, h, w))).float(), place, oval(h, w), additive
    )
    got = composite(frame(pixels), [patch])
    np.testing.assert_array_equal(pixels, before)
    y, x = np.mgrid[:height, :width]
    u, v = np.einsum("ij,jhw->ihw", place[:, :2], np.stack([x, y])) + place[:, 2, None, None]
    reach = 1 + 2 * np.sqrt(np.linalg.det(place[:, :2]))  # a shrunk pixel is as wide as the frame's
    far = (u < -reach) | (u > w - 1 + reach) | (v < -reach) | (v > h - 1 + reach)
    np.testing.assert_array_equal(got[far], pixels[far])


@settings(deadline=None, max_examples=25)
@given(seeds, st.floats(0.4, 3.0), st.floats(-3, 3))
def test_what_equals_the_frame_changes_nothing(seed, scale, angle) -> None:
    """A flat frame, a patch of the same colour, any mask, any place."""
    level = seed % 256
    pixels = np.full((60, 70, 3), level, np.uint8)
    patch = Patch(flat(level / 127.5 - 1, 40, 30), at(20, 10, scale, angle), oval(40, 30))
    np.testing.assert_array_equal(composite(frame(pixels), [patch]), pixels)


def test_half_a_mask_is_half_of_each_and_rounded() -> None:
    pixels = np.full((9, 9, 3), 10, np.uint8)
    patch = Patch(as_patch(np.full((9, 9, 3), 21)), at(0, 0), np.full((9, 9), 0.75, np.float32))
    assert np.unique(composite(frame(pixels), [patch])).tolist() == [18]  # 18.25; 18.5 goes to even


def test_rounding_has_no_bias() -> None:
    """Truncation, as upstream has it, would darken by half a level."""
    pixels = noise(200, 200)
    patch = Patch(torch.full((3, 200, 200), 0.3 / 127.5), at(0, 0), oval(200, 200), additive=True)
    values = pixels.astype(np.float64)
    exact = np.clip(values + 0.3 * oval(200, 200)[..., None], 0, 255)
    assert np.abs(composite(frame(pixels), [patch]) - exact).max() <= 0.5 + 1e-4


def test_an_additive_patch_adds_in_the_same_unit() -> None:
    pixels = np.full((9, 9, 3), 100, np.uint8)
    quarter = Patch(flat(0.5, 9, 9), at(0, 0), ones(9, 9), additive=True)  # of black to white
    assert np.unique(composite(frame(pixels), [quarter])).tolist() == [164]


def test_an_additive_patch_of_nothing_keeps_every_pixel() -> None:
    pixels = noise(80, 80)
    patch = Patch(flat(0.0, 50, 50), at(10.3, 7.7, 0.9, 0.2), oval(50, 50), additive=True)
    np.testing.assert_array_equal(composite(frame(pixels), [patch]), pixels)


def test_light_and_dark_stop_at_white_and_black() -> None:
    pixels = noise(9, 9)
    for value, end in ((2.0, 255), (-2.0, 0)):
        patch = Patch(flat(value, 9, 9), at(0, 0), ones(9, 9), additive=True)
        assert np.unique(composite(frame(pixels), [patch])).tolist() == [end]


def test_the_last_patch_lies_on_top() -> None:
    pixels = noise(30, 30)
    lower = Patch(flat(WHITE, 10, 10), at(5, 5), ones(10, 10))
    upper = Patch(flat(BLACK, 10, 10), at(10, 10), ones(10, 10))
    got = composite(frame(pixels), [lower, upper])
    assert (got[5:10, 5:15] == 255).all() and (got[10:20, 10:20] == 0).all()
    np.testing.assert_array_equal(got[20:], pixels[20:])


def test_between_patches_nothing_is_rounded() -> None:
    """Ten patches of a twentieth of a level each make half a level, and one more tips it."""
    pixels = np.full((9, 9, 3), 100, np.uint8)
    little = Patch(flat(0.05 / 127.5, 9, 9), at(0, 0), ones(9, 9), additive=True)
    assert np.unique(composite(frame(pixels), [little] * 11)).tolist() == [101]


@pytest.mark.parametrize("corner", [(-20, -15), (50, -12), (-18, 40), (52, 44), (-5, -5)])
def test_a_face_partly_outside_the_frame_is_cut_at_its_edge(corner) -> None:
    pixels, new = noise(60, 70), noise(40, 40, seed=2)
    x, y = corner
    wide = np.zeros((200, 200, 3), np.uint8)
    wide[60:120, 60:130] = pixels
    wide[60 + y : 100 + y, 60 + x : 100 + x] = new
    got = composite(frame(pixels), [Patch(as_patch(new), at(x, y), ones(40, 40))])
    np.testing.assert_array_equal(got, wide[60:120, 60:130])


def test_a_patch_much_larger_than_the_frame_covers_it() -> None:
    patch = Patch(flat(GREY, 300, 300), at(-30, -30), ones(300, 300))
    assert np.ptp(composite(frame(noise(20, 20)), [patch]).astype(int)) == 0


@pytest.mark.parametrize("scale", [0.7, 1.3, 2.0, 3.7])
def test_a_patch_lands_where_its_matrix_says(scale) -> None:
    """A smooth function in patch pixels equals the same function in frame pixels."""
    place = at(21.3, 14.6, scale, 0.2)
    size = int(60 * scale)
    v, u = np.mgrid[:size, :size].astype(np.float64)

    def image(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return 0.5 * np.sin(u / scale / 6) + 0.4 * np.cos(v / scale / 7)

    patch = Patch(torch.from_numpy(np.stack([image(u, v)] * 3)).float(), place, ones(size, size))
    got = composite(frame(np.zeros((120, 120, 3), np.uint8)), [patch]) / 127.5 - 1
    y, x = np.mgrid[:120, :120]
    u, v = np.einsum("ij,jhw->ihw", place[:, :2], np.stack([x, y])) + place[:, 2, None, None]
    inside = (np.minimum(u, v) > 3 * scale) & (np.maximum(u, v) < size - 3 * scale)
    expected = np.repeat(image(u, v)[..., None], 3, axis=-1)
    assert inside.sum() > 1000
    # A level is 0.008; a shift by a tenth of a pixel would be off by 0.015.
    np.testing.assert_allclose(got[inside], expected[inside], atol=0.013)


def test_a_shrunk_patch_does_not_alias() -> None:
    """Stripes finer than the frame's pixels turn grey instead of into coarser stripes."""
    stripes = torch.ones(3, 240, 240)
    stripes[:, :, ::2] = -1
    got = composite(
        frame(np.zeros((60, 60, 3), np.uint8)), [Patch(stripes, at(0, 0, 4.3), ones(240, 240))]
    )
    assert np.abs(got[5:45, 5:45].astype(int) - 127.5).max() < 20


def test_bfloat16_and_gradients_are_no_trouble() -> None:
    pixels = torch.zeros(3, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    got = composite(frame(noise(8, 8)), [Patch(pixels, at(0, 0), ones(8, 8))])
    assert set(np.unique(got)) <= {127, 128}


def in_float64(pixels: np.ndarray, patch: Patch) -> np.ndarray:
    """The same patch over the whole frame, nothing cut down and nothing rounded."""
    size = pixels.shape[1::-1]
    rim = np.array([[0, 0, 4], [0, 0, 4]])  # the colours go on, the mask ends

    def seen(plane: np.ndarray, how: int, border: int) -> np.ndarray:
        wide = cv2.copyMakeBorder(plane, 4, 4, 4, 4, border)
        flags = how | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(wide, patch.matrix + rim, size, flags=flags).astype(np.float64)

    mask = seen(patch.mask, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    out = pixels.astype(np.float64)
    for channel, plane in enumerate(patch.pixels.numpy()):
        color = seen(plane, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE) * 127.5
        below = out[..., channel]
        below += mask * (color if patch.additive else color + 127.5 - below)
    return out.clip(0, 255)


@settings(deadline=None, max_examples=25)
@given(seeds, st.booleans())
def test_it_is_the_plain_blend_of_the_whole_frame_within_half_a_level(seed, additive) -> None:
    """At places that lie on OpenCV's grid of a 32nd of a pixel wherever one counts from."""
    rng = np.random.default_rng(seed)
    h, w = rng.integers(20, 60, 2)
    x, y = rng.integers(-10 * 16, 60 * 16, 2) / 16
    place = at(x, y, scale=rng.choice([0.5, 1.0]), angle=np.pi / 2 * rng.integers(4))
    mask = (oval(h, w) - 0.3).clip(0) ** 3  # 0 along the sides, which are cut off
    smooth = cv2.GaussianBlur(rng.uniform(-1, 1, (h, w, 3)), (0, 0), 1.0) * 2
    patch = Patch(torch.from_numpy(smooth).permute(2, 0, 1).float(), place, mask, additive)
    pixels = noise(90, 100, seed)
    difference = np.abs(composite(frame(pixels), [patch]) - in_float64(pixels, patch))
    assert difference.max() <= 0.6  # a cubic would also see colours beyond the mask's end


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_the_box_holds_every_pixel_that_changed(seed) -> None:
    rng = np.random.default_rng(seed)
    pixels = noise(80, 90, seed)
    patches = [
        Patch(
            torch.from_numpy(rng.uniform(-1, 1, (3, 20, 30))).float(),
            at(*rng.uniform(-40, 100, 2), scale=rng.uniform(0.3, 3), angle=rng.uniform(-3, 3)),
            oval(20, 30),
            additive=bool(rng.integers(2)),
        )
        for _ in range(2)
    ]
    got = composited(frame(pixels), patches)
    changed = (got.pixels != pixels).any(axis=-1)
    if got.box is None:
        assert got.pixels is pixels
    else:
        changed[got.box.y0 : got.box.y1, got.box.x0 : got.box.x1] = False
    assert not changed.any()


def test_the_box_is_no_larger_than_the_mask_needs() -> None:
    mask = np.zeros((50, 60), np.float32)
    mask[20:30, 10:40] = 1
    box = composited(frame(noise(100, 100)), [Patch(flat(WHITE, 50, 60), at(5, 7), mask)]).box
    assert box is not None
    assert (15 - box.x0, 27 - box.y0, box.x1 - 45, box.y1 - 37) == (2, 2, 2, 2)


def test_a_patch_may_be_a_view_and_its_mask_read_only() -> None:
    wide, mask = torch.rand(3, 40, 60) * 2 - 1, ones(20, 30)
    mask.setflags(write=False)
    view, before = wide[:, 5:25, 7:37], wide.clone()
    pixels = noise(50, 50)
    for additive in (False, True):
        ours = Patch(view, at(3.2, 4.1), mask, additive)
        copy = Patch(view.clone(), at(3.2, 4.1), mask.copy(), additive)
        np.testing.assert_array_equal(
            composite(frame(pixels), [ours]), composite(frame(pixels), [copy])
        )
    assert torch.equal(wide, before)
