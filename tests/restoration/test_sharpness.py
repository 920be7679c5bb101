"""Sharpness measures how much blurrier the mouth is than the rest, independent of all else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync.restoration.sharpness import (
    BANDS,
    LARGE,
    SharpnessMeter,
    _inside,
    blur_widths,
    sharpness,
)
from latentsync.types import Box

ALIGNED = (560, 420)
SCALE = 0.6  # frame pixels per aligned pixel
MARGIN = 40  # frame pixels around the face


def region(top: int, bottom: int) -> np.ndarray:
    mask = np.zeros(ALIGNED, np.float32)
    mask[top:bottom, 40:380] = 1
    return mask


MOUTH, REST = region(310, 450), region(70, 210)


def natural(height: int, width: int, seed: int) -> np.ndarray:
    """(h, w): amplitude falling as 1/frequency, as in images of the world."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).normal(size=(height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    image = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / width), (height, width))
    return image / image.std()


def in_frame(scale: float = SCALE, turned: float = 0.0) -> np.ndarray:
    """(2, 3), frame -> aligned crop: a face of that scale, turned by so many degrees."""
    center = (MARGIN + 210 * scale, MARGIN + 280 * scale)
    back = cv2.getRotationMatrix2D(center, turned, 1 / scale)
    back[:, 2] += np.array([210, 280]) - center
    return back


def face(seed: int = 0, *, mouth_blur: float = 0.0, contrast: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8: one texture all over; the lower half, where the mouth is, made worse."""
    height, width = round(560 * SCALE) + 2 * MARGIN, round(420 * SCALE) + 2 * MARGIN
    luma = cv2.GaussianBlur(natural(height, width, seed), (0, 0), 0.8) * 40
    lower = luma.copy()
    if mouth_blur:
        lower = cv2.GaussianBlur(lower, (0, 0), mouth_blur)
    half = round(MARGIN + 260 * SCALE)
    luma[half:] = contrast * lower[half:]
    grey = np.rint(luma + 128).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def measured(pixels: np.ndarray, matrix: np.ndarray | None = None) -> float:
    meter = SharpnessMeter(MOUTH, REST)
    return float(sharpness(meter(pixels, in_frame() if matrix is None else matrix)))


@pytest.mark.parametrize("seed", range(4))
def test_a_mouth_like_the_rest_of_its_face_has_a_sharpness_of_one(seed: int) -> None:
    assert measured(face(seed)) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_the_blurrier_the_mouth_the_lower_the_figure(seed: int) -> None:
    figures = [measured(face(seed, mouth_blur=blur)) for blur in (0.0, 1.0, 1.5, 2.5, 4.0)]
    assert figures == sorted(figures, reverse=True)
    assert figures[2] < 0.6 < figures[0]


def test_a_mouth_blurred_by_two_pixels_is_measured_as_such() -> None:
    energies = SharpnessMeter(MOUTH, REST)(face(mouth_blur=2.0), in_frame())
    mouth, rest = blur_widths(energies)
    # Slopes of five bands over some thousand pixels, and a filter of 8 bits: a sixth either way.
    assert np.sqrt(mouth**2 - rest**2) == pytest.approx(2.0, rel=0.17)


def test_contrast_is_not_sharpness() -> None:
    assert measured(face(contrast=0.5)) == pytest.approx(measured(face()), rel=0.08)


def test_noise_on_the_whole_video_does_not_hide_a_blurred_mouth() -> None:
    blurred = face(mouth_blur=1.5)
    noise = np.random.default_rng(9).normal(0, 0.8, blurred.shape[:2])[..., None]
    noisy = np.rint(blurred + noise).clip(0, 255).astype(np.uint8)
    assert measured(noisy) < 0.7


@pytest.mark.parametrize("turned", [-25.0, 10.0, 90.0])
def test_a_face_is_measured_upright(turned: float) -> None:
    upright = face(mouth_blur=1.5)
    height, width = upright.shape[:2]
    center = (MARGIN + 210 * SCALE, MARGIN + 280 * SCALE)
    # Enlarged, so that turning the image itself costs no detail to speak of.
    turning = cv2.getRotationMatrix2D(center, -turned, 3.0)
    turning[:, 2] += np.array([1.5 * width, 1.5 * height]) - center
    pixels = cv2.warpAffine(upright, turning, (3 * width, 3 * height), flags=cv2.INTER_CUBIC)
    back = np.vstack([cv2.invertAffineTransform(turning), [0, 0, 1]])
    shrunk = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    matrix = in_frame() @ back @ np.array([[3, 0, 1], [0, 3, 1], [0, 0, 1.0]])
    assert measured(shrunk, matrix) == pytest.approx(measured(upright), abs=0.15)


def test_what_lies_outside_the_frame_does_not_count() -> None:
    whole = face(mouth_blur=1.5)
    cut = round(MARGIN + 210 * SCALE)  # through the middle of the face
    matrix = in_frame()
    matrix[:, 2] += matrix[:, :2] @ [cut, 0]
    assert measured(np.ascontiguousarray(whole[:, cut:]), matrix) == pytest.approx(
        measured(whole), rel=0.15
    )


def test_a_mouth_outside_the_frame_has_no_sharpness() -> None:
    upper = np.ascontiguousarray(face()[: round(MARGIN + 280 * SCALE)])
    energies = SharpnessMeter(MOUTH, REST)(upper, in_frame())
    assert np.isnan(energies[0]).all() and not np.isnan(energies[1]).any()
    assert np.isnan(sharpness(energies))


def test_a_whole_track_is_one_call() -> None:
    meter = SharpnessMeter(MOUTH, REST)
    energies = np.stack([meter(face(s, mouth_blur=1.5), in_frame()) for s in range(3)])
    assert energies.shape == (3, 2, BANDS) and energies.dtype == np.float32
    assert np.array_equal(sharpness(energies), [sharpness(one) for one in energies])


def test_a_flat_image_is_a_figure_and_no_accident() -> None:
    flat = np.full_like(face(), 90)
    assert np.isfinite(measured(flat))


def large_face(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """A noisy face of that scale, and its matrix: frame -> aligned crop."""
    size = round(420 * scale) + 2 * MARGIN, round(560 * scale) + 2 * MARGIN
    texture = np.random.default_rng(0).normal(128, 30, size[::-1]).astype(np.float32)
    grey = np.rint(cv2.GaussianBlur(texture, (0, 0), 1.5)).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), in_frame(scale)


@pytest.mark.parametrize("scale", [LARGE + 0.05, LARGE + 0.4])
def test_of_a_large_face_only_the_part_that_counts_is_measured(scale: float, monkeypatch) -> None:
    mouth, rest = region(310, 330), region(270, 290)
    pixels, matrix = large_face(scale)
    in_part = SharpnessMeter(mouth, rest)(pixels, matrix)
    monkeypatch.setattr("latentsync.restoration.sharpness._REACH", 10**4)
    whole = SharpnessMeter(mouth, rest)(pixels, matrix)
    np.testing.assert_allclose(in_part, whole, rtol=2e-4)


def test_a_face_that_grows_large_is_measured_with_one_meter() -> None:
    """Both have an upright face of as many rows, but another part of it is measured."""
    meter = SharpnessMeter(MOUTH, REST)
    just_below, just_above = (meter(*large_face(LARGE + by)) for by in (-0.002, 0.002))
    np.testing.assert_allclose(just_above, just_below, rtol=0.1)


@pytest.mark.parametrize("way", [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_the_frames_edge_is_left_out_of_account_only_where_all_that_counts_is_inside(
    way: tuple[int, int],
) -> None:
    frame, size, counted = (100, 120), (90, 70), Box(20, 10, 60, 50)
    found = []
    for shift in range(60):
        matrix = np.array([[1.0, 0.02, -10 + shift * way[0]], [-0.02, 1.0, -10 + shift * way[1]]])
        inside = _inside(frame, matrix, size, counted)
        every = _inside(frame, matrix, size, Box(-200, -200, 300, 300))
        assert every is not None
        found.append(inside is None)
        if inside is None:
            assert every[counted.y0 : counted.y1, counted.x0 : counted.x1].all()
        else:
            np.testing.assert_array_equal(inside, every)
    assert {*found} == {True, False}
