"""Where patches lie: one constant geometry per track, no half pixel lost, no aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync.geometry import (
    ALIGNED_SIZE,
    FFHQ_TEMPLATE,
    extract,
    frame_scale,
    generator_scale,
    part_of,
)
from latentsync.restoration.patch import ffhq_geometry, own_scale_geometry


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    """(2, 3), frame -> aligned crop; scale: frame pixels per aligned pixel."""
    turn = np.exp(1j * np.deg2rad(degrees)) / scale
    return np.array([[turn.real, -turn.imag, shift[0]], [turn.imag, turn.real, shift[1]]])


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: np.ndarray) -> np.ndarray:
    return cv2.invertAffineTransform(matrix)


TRACK = np.stack([similarity(0.5 + 0.01 * i, 3.0 * i, (-200.0 + i, -90.0)) for i in range(5)])
MASK = np.zeros(ALIGNED_SIZE, np.float32)
MASK[300:420, 100:320] = 1
# Five points of a face in the aligned crop: a turned, shrunk and moved FFHQ template.
FIVE = moved(FFHQ_TEMPLATE, similarity(0.75, 4.0, (-115.0, -165.0)))


def test_a_face_on_the_template_lands_on_the_template() -> None:
    in_frames = np.stack([moved(FIVE, inverse(matrix)) for matrix in TRACK])
    geometry = ffhq_geometry(TRACK, in_frames, MASK)
    for matrix, points in zip(TRACK, in_frames, strict=True):
        assert np.allclose(moved(points, geometry.matrix(matrix)), FFHQ_TEMPLATE, atol=1e-6)


def test_one_frame_with_a_stray_landmark_does_not_shake_the_square() -> None:
    in_frames = np.stack([moved(FIVE, inverse(matrix)) for matrix in TRACK])
    steady = ffhq_geometry(TRACK, in_frames, MASK)
    in_frames[2] += np.random.default_rng(0).normal(0, 3, (5, 2))
    shaken = ffhq_geometry(TRACK, in_frames, MASK)
    step = [shaken.matrix(m) @ np.linalg.inv(np.vstack([m, [0, 0, 1]])) for m in TRACK]
    assert np.allclose(step, step[0])  # the same in every frame
    assert np.abs(moved(FIVE, shaken.from_aligned) - moved(FIVE, steady.from_aligned)).max() < 3


def test_the_square_may_have_another_size() -> None:
    in_frames = np.stack([moved(FIVE, inverse(matrix)) for matrix in TRACK])
    geometry = ffhq_geometry(TRACK, in_frames, MASK, size=256)
    assert geometry.size == (256, 256) == geometry.mask.shape
    points = moved(in_frames[0], geometry.matrix(TRACK[0]))
    assert np.allclose(points, FFHQ_TEMPLATE / 2, atol=1e-6)


def test_the_mask_moves_with_the_face() -> None:
    in_frames = np.stack([moved(FIVE, inverse(matrix)) for matrix in TRACK])
    for geometry in (ffhq_geometry(TRACK, in_frames, MASK), own_scale_geometry(TRACK, MASK)):
        rows, columns = np.nonzero(geometry.mask > 0.5)
        center = moved(np.array([209.5, 359.5]), geometry.from_aligned)
        assert np.allclose([columns.mean(), rows.mean()], center, atol=0.6)
        assert geometry.mask.dtype == np.float32
        assert geometry.mask.min() == 0 and geometry.mask.max() == 1


def test_the_box_has_the_frames_own_scale_and_room_around_the_mask() -> None:
    geometry = own_scale_geometry(TRACK, MASK)
    scale = np.median(frame_scale(TRACK))
    assert frame_scale(geometry.matrix(TRACK[2])) == pytest.approx(1.0)
    assert geometry.size[0] == pytest.approx(120 * scale + 32, abs=2)
    assert geometry.size[1] == pytest.approx(220 * scale + 32, abs=2)
    border = np.ones(geometry.size, bool)
    border[15:-15, 15:-15] = False
    assert not geometry.mask[border].any()


def ramp(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: red grows to the right, green downwards, a level a pixel."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full((height, width), 200)], -1).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 2.0, 3.4])
def test_a_pixel_is_taken_from_where_the_matrix_says(scale: float) -> None:
    """scale: frame pixels per patch pixel; above 1 the patch is averaged down."""
    matrix = np.array([[1 / scale, 0, -60 / scale], [0, 1 / scale, -50 / scale]])
    patch = (extract(ramp(250, 250), matrix, (30, 40)) + 1) * 127.5
    rows, columns = np.mgrid[:30, :40]
    assert np.allclose(patch[0], columns * scale + 60, atol=0.6)  # 8 bits: half a level
    assert np.allclose(patch[1], rows * scale + 50, atol=0.6)
    assert np.allclose(patch[2], 200, atol=0.5)


def test_a_patch_is_rgb_float_between_minus_one_and_one() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[..., 0] = 255
    patch = extract(pixels, np.eye(3)[:2], (8, 9))
    assert patch.shape == (3, 8, 9) and str(patch.dtype) == "torch.float32"
    assert (patch[0] == 1).all() and (patch[1:] == -1).all()


def test_beyond_the_frame_its_border_goes_on() -> None:
    patch = (extract(ramp(64, 64), np.array([[1.0, 0, 20], [0, 1, 0]]), (16, 30)) + 1) * 127.5
    assert np.allclose(patch[0, :, :20], 0, atol=0.01)


@pytest.mark.parametrize("corner", [(0, 0), (3, 5), (-6, -9), (50, 41), (90, -70)])
def test_on_whole_pixels_the_patch_is_the_frame_bit_for_bit(corner) -> None:
    """In the frame, over its edge, and beyond it, where the nearest border pixel goes on."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    x, y = corner
    patch = extract(pixels, np.array([[1.0, 0, -x], [0, 1, -y]]), (16, 20))
    rows, columns = np.arange(y, y + 16).clip(0, 59), np.arange(x, x + 20).clip(0, 69)
    expected = pixels[np.ix_(rows, columns)].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    np.testing.assert_array_equal(patch.numpy(), expected)


def test_between_pixels_nothing_is_rounded_nor_beyond_black_and_white() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, 20:] = 255
    patch = extract(pixels, np.array([[1.9, 0, -20.3], [0, 1.9, -20.7]]), (30, 30))
    levels = (patch.numpy() + 1) * 127.5
    assert patch.min() == -1 and patch.max() == 1  # a cubic overshoots at such an edge
    assert np.abs(levels - np.rint(levels)).max() > 0.1


def test_a_patch_is_made_of_its_part_of_the_frame_alone() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    matrix = np.array([[1.1, 0.2, -120], [-0.2, 1.1, -40]])
    part, from_part = part_of(pixels, matrix, (50, 40))
    assert part.shape[0] < 70 and part.shape[1] < 70
    direct = extract(np.ascontiguousarray(part), from_part, (50, 40))
    np.testing.assert_allclose(direct, extract(pixels, matrix, (50, 40)), atol=1e-6)


def test_a_checkerboard_shrinks_to_grey() -> None:
    board = (np.indices((240, 240)).sum(0) % 2 * 255).astype(np.uint8)
    patch = extract(
        np.repeat(board[..., None], 3, -1), np.array([[0.27, 0, 0], [0, 0.27, 0]]), (50, 50)
    )
    assert float(patch[:, 5:-5, 5:-5].abs().max()) < 0.15


def test_scales_are_frame_pixels_per_target_pixel() -> None:
    assert frame_scale(TRACK) == pytest.approx([0.5, 0.51, 0.52, 0.53, 0.54])
    # A crop with as many frame pixels as generator pixels has a scale of 1.
    square = similarity(256 / np.sqrt(420 * 560), 30.0, (0.0, 0.0))
    assert generator_scale(square, 256) == pytest.approx(1.0)
    assert generator_scale(TRACK, 512) == pytest.approx(generator_scale(TRACK, 256) / 2)
