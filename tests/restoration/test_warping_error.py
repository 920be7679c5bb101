"""The warping error is what changes between two frames that no motion explains."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from latentsync.restoration.warping_error import (
    EVERY,
    MOST,
    SCALE,
    FlickerMeter,
    flicker_of_pair,
    motion,
    warping_error,
)

SIZE = (96, 128)
EVERYWHERE = np.ones(SIZE, np.float32)
INSIDE = np.zeros(SIZE, np.float32)
INSIDE[16:-16, 16:-16] = 1


def image(seed: int = 0) -> np.ndarray:
    """(h, w, 3) float32 in [0.25, 0.75], with texture to follow, and a margin on each side."""
    noise = np.random.default_rng(seed).random((SIZE[0] + 20, SIZE[1] + 20, 3), np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return 0.25 + 0.5 * (soft - soft.min()) / np.ptp(soft)


def moved(pixels: np.ndarray, x: int) -> np.ndarray:
    return np.ascontiguousarray(pixels[10:-10, 10 - x : pixels.shape[1] - 10 - x])


def noise(sigma: float, seed: int = 1) -> np.ndarray:
    return sigma * np.random.default_rng(seed).standard_normal((*SIZE, 3)).astype(np.float32)


def error(before: np.ndarray, after: np.ndarray, mask: np.ndarray = INSIDE) -> float:
    return warping_error(before, after, motion(before, after), mask)


def test_what_only_moves_has_no_error() -> None:
    before, after = moved(image(), 0), moved(image(), 3)
    unmoved = SCALE * float(np.square(after - before).mean())
    assert error(before, after) < 0.02 * unmoved


def test_noise_counts_with_its_variance() -> None:
    still = moved(image(), 0)
    flow = motion(still, still)
    measured = warping_error(still, still + noise(0.05), flow, EVERYWHERE)
    assert measured == pytest.approx(SCALE * 0.05**2, rel=0.02)


def test_only_the_mask_counts() -> None:
    still = moved(image(), 0)
    flickering = still + noise(0.05) * (1 - INSIDE)[..., None]
    assert error(still, still, INSIDE) == 0
    assert warping_error(still, flickering, motion(still, still), INSIDE) == pytest.approx(0)


def test_what_is_covered_in_the_next_frame_does_not_count() -> None:
    before, after = moved(image(), 0), moved(image(), 0)
    before[40:60, 20:40], after[40:60, 44:64] = 1.0, 1.0  # a white square moves by its own width
    flow = motion(before, after)
    assert flow.visible[5:30].mean() > 0.9
    assert flow.visible[42:58, 46:62].mean() < 0.5
    changed = np.where(flow.visible[..., None], before, 0)
    assert warping_error(changed, after, flow, EVERYWHERE) == pytest.approx(
        warping_error(before, after, flow, EVERYWHERE)
    )


def test_where_nothing_is_visible_there_is_no_figure() -> None:
    still = moved(image(), 0)
    assert np.isnan(warping_error(still, still, motion(still, still), 0 * EVERYWHERE))
    assert flicker_of_pair((still, still), (still, still), 0 * EVERYWHERE).pairs == 0


def test_a_jump_of_the_result_is_no_motion() -> None:
    """Its own flow would explain it away."""
    before, shifted = moved(image(), 0), moved(image(), 3)
    still = flicker_of_pair((before, before), (before, shifted), INSIDE)
    assert still.result > 50 * error(before, shifted)


def test_twice_the_contrast_is_four_times_the_contrast_figure() -> None:
    before = moved(image(), 0)
    after = 0.5 + 2 * (before - 0.5)
    assert flicker_of_pair(
        (before, before), (after, after), INSIDE
    ).contrast_ratio == pytest.approx(4, rel=1e-4)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels * 2 - 1).permute(2, 0, 1)


def measured(numbers: list[int], change: float = 0.0) -> FlickerMeter:
    """Of a noisy still video; the restoration alternates between more and less brightness."""
    meter = FlickerMeter()
    meter.enter(7, INSIDE)
    for n in numbers:
        mouth = tensor(moved(image(), 0) + noise(0.02, n))
        meter(n, mouth, torch.full_like(mouth, change * (-1) ** n))
    return meter


def test_one_pair_in_a_period_is_measured_from_the_first_on() -> None:
    assert measured(list(range(2))).tracks[7].pairs == 1
    assert measured(list(range(2 * EVERY + 1))).tracks[7].pairs == 2


def test_nothing_is_compared_across_a_missing_frame_or_another_track() -> None:
    assert not measured([0, EVERY + 1]).tracks
    meter = measured([0])
    meter.enter(8, INSIDE)
    meter(1, tensor(moved(image(), 0)), torch.zeros(3, *SIZE))
    assert not meter.tracks


def test_a_mouth_that_is_left_alone_has_a_ratio_of_one_and_a_pulse_more() -> None:
    numbers = list(range(EVERY))
    assert measured(numbers).tracks[7].ratio == pytest.approx(1, abs=1e-6)
    pulsing = measured(numbers, change=0.02).tracks[7]
    assert pulsing.ratio > 1.3
    assert pulsing.contrast_ratio == pytest.approx(1, abs=0.01)


def test_a_mouth_too_small_for_the_flow_is_left_out() -> None:
    meter = FlickerMeter()
    meter.enter(0, np.ones((8, 40), np.float32))
    for n in range(2):
        meter(n, torch.zeros(3, 8, 40), torch.zeros(3, 8, 40))
    assert not meter.tracks


def test_of_a_large_mouth_the_middle_is_measured() -> None:
    meter = FlickerMeter()
    meter.enter(0, np.ones((MOST[0] + 40, MOST[1] + 60), np.float32))
    still = torch.rand(3, MOST[0] + 40, MOST[1] + 60, generator=torch.manual_seed(0))
    beside = torch.zeros_like(still)
    beside[:, :20], beside[:, :, -30:] = 0.5, 0.5
    meter(0, still, torch.zeros_like(still))
    meter(1, still, beside)
    assert meter.tracks[0].pairs == 1
    assert meter.tracks[0].result == meter.tracks[0].source
