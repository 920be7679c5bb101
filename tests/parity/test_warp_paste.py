"""Cropping and pasting as LatentSync's float32 path does them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.face.upstream import paste, square_face, upstream_matrices, warp_crop

KIND = "warp_paste"
ONE_LEVEL = 1  # both truncate to uint8, so a last bit of float32 shows as a whole level
RARELY = 0.2  # and on few pixels; rounding instead of truncating would show on half of them


@pytest.fixture(scope="module")
def golden(golden_file: Path) -> dict[str, np.ndarray]:
    with np.load(golden_file) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def resolution(golden: dict[str, np.ndarray]) -> int:
    return golden["generated"].shape[-1]


def assert_same_image(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == np.uint8 and got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected)
    assert difference.max() <= ONE_LEVEL
    assert (difference > 0).mean() < RARELY


def test_the_matrix(golden: dict[str, np.ndarray], resolution: int) -> None:
    got = upstream_matrices(golden["landmarks"][None], resolution)[0]
    np.testing.assert_allclose(got, golden["matrix"], atol=1e-3)


def test_the_crop(golden: dict[str, np.ndarray], resolution: int) -> None:
    got = warp_crop(golden["frame"], golden["matrix"], resolution)
    assert_same_image(got, golden["crop"])


def test_the_square_face(golden: dict[str, np.ndarray], resolution: int) -> None:
    got = square_face(golden["crop"], resolution)
    assert_same_image(got, golden[f"face{resolution}"])


def test_the_pasted_frame(golden: dict[str, np.ndarray]) -> None:
    generated = torch.from_numpy(golden["generated"])
    got = paste(golden["frame"], generated, golden["matrix"])
    assert_same_image(got, golden["composited"])
