"""The reference estimator gives the matrices that LatentSync gives, frame after frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync import geometry
from latentsync.face.upstream import from_aligned, to_aligned, upstream_matrices
from latentsync.geometry import crop_size, template

KIND = "align"
TOLERANCE = (
    1e-3  # pixels of the crop over a whole frame; 3e-4 is seen, float32 at offsets near 1000
)


def resolutions(golden: np.lib.npyio.NpzFile) -> list[int]:
    return [int(name.split("_")[1]) for name in golden.files if name.startswith("landmarks_")]


def test_matrices_equal_upstreams(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        assert resolutions(golden)
        for resolution in resolutions(golden):
            got = upstream_matrices(golden[f"landmarks_{resolution}"], resolution)
            np.testing.assert_allclose(got, golden[f"matrices_{resolution}"], atol=TOLERANCE)


def test_matrices_survive_being_kept_at_the_aligned_crop_s_size(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        points = golden[f"landmarks_{resolutions(golden)[0]}"]
    for resolution in (64, 256, 512):
        matrices = upstream_matrices(points, resolution)
        kept = to_aligned(matrices, resolution)
        np.testing.assert_array_equal(from_aligned(kept, resolution), matrices)
    for resolution in (96, 320, 384, 1000):  # 512 / R is no power of two: a last bit of 1000
        matrices = upstream_matrices(points, resolution)
        back = from_aligned(to_aligned(matrices, resolution), resolution)
        np.testing.assert_allclose(back, matrices, rtol=3e-7)


def test_the_template_is_upstreams(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        for resolution in resolutions(golden):
            np.testing.assert_allclose(template(resolution), golden[f"template_{resolution}"])


def test_least_squares_turns_the_face_as_upstream_does(golden_file: Path) -> None:
    """Upstream's scale is from standard deviations, but its rotation is the least-squares one."""
    with np.load(golden_file) as golden:
        for resolution in resolutions(golden):
            points, theirs = (golden[f"{what}_{resolution}"] for what in ("landmarks", "matrices"))
            ours = geometry.similarity(points, template(resolution))
            np.testing.assert_allclose(angle(ours), angle(theirs), atol=1e-5)


def angle(matrices: np.ndarray) -> np.ndarray:
    return np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])


def test_the_crop_has_upstreams_size() -> None:
    assert crop_size(512) == (420, 560) == (geometry.ALIGNED_WIDTH, geometry.ALIGNED_HEIGHT)
    assert crop_size(256) == (210, 280)
