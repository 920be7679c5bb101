"""Crops: what makes them quick changes nothing of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync import geometry
from latentsync.geometry import extract, padded_part

SIZE = (48, 64)


def image(height: int = 120, width: int = 160) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.0)


def matrix(*, scale: float = 1.0, center: tuple[float, float] = (80, 60)) -> np.ndarray:
    """(2, 3), image -> patch: turned by 7 degrees; scale: image pixels per patch pixel."""
    turn = cv2.getRotationMatrix2D(center, 7, 1 / scale)
    turn[:, 2] += np.array(SIZE[::-1]) / 2 - center
    return turn


@pytest.mark.parametrize("scale", [0.8, 1.5, 2.9])
def test_a_patch_extracted_in_strips_is_the_whole_one(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = extract(image(), matrix(scale=scale), SIZE)
    monkeypatch.setattr(geometry, "_STRIP", 1000)
    strips = extract(image(), matrix(scale=scale), SIZE)
    assert np.allclose(strips, whole, rtol=0, atol=1e-6)  # of 2: a ten-thousandth of a code value


@pytest.mark.parametrize("center", [(3, 60), (158, 60), (80, 2), (80, 119), (-20, -10)])
def test_a_patch_that_reaches_beyond_the_image_repeats_its_border(
    center: tuple[float, float],
) -> None:
    to_patch = matrix(center=center)
    plain = [
        cv2.warpAffine(
            np.ascontiguousarray(plane, np.float32),
            to_patch,
            SIZE[::-1],
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for plane in np.moveaxis(image(), 2, 0)
    ]
    levels = (extract(image(), to_patch, SIZE).numpy() + 1) * 127.5
    assert np.allclose(levels, np.clip(plain, 0, 255), rtol=0, atol=1e-3)


@pytest.mark.parametrize("center", [(3, 2), (158, 117)])
def test_the_part_of_a_patch_at_the_edge_has_the_border_that_the_patch_needs(
    center: tuple[float, float],
) -> None:
    part, from_part = padded_part(image(), matrix(center=center), SIZE)
    corners = np.array([[0, 0, 1], [64, 0, 1], [0, 48, 1], [64, 48, 1]], float)
    places = corners @ cv2.invertAffineTransform(from_part).T
    assert (places >= 2).all()
    assert (places <= np.array(part.shape[1::-1]) - 3).all()


@pytest.mark.parametrize("center", [(-1e7, 60), (80, 1e7)])
def test_a_patch_wholly_outside_of_the_image_takes_no_memory(center: tuple[float, float]) -> None:
    part, _ = padded_part(image(), matrix(center=center), SIZE)
    assert part.size < 160 * 120 * 3
