"""Large patches are warped in strips, and only where their masks are: the same pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync.face.composite import HALF_RANGE, _layer, _warped, composited
from latentsync.types import Patch
from tests.face.test_composite import as_patch, at, frame, noise, oval


@pytest.mark.parametrize("strip", [900, 4000])
def test_a_large_patch_in_strips_is_the_same_patch(strip: int, monkeypatch) -> None:
    pixels = noise(90, 120)
    lower = Patch(as_patch(noise(60, 70, 1)), at(20, 10, angle=0.1), oval(60, 70))
    upper = Patch(as_patch(noise(30, 50, 2)) / 4, at(50, 52, angle=-0.2), oval(30, 50), True)
    whole = composited(frame(pixels), [lower, upper])
    monkeypatch.setattr("latentsync.face.composite.LARGE", 0)
    monkeypatch.setattr("latentsync.face.composite.STRIP", strip)
    in_strips = composited(frame(pixels), [lower, upper])
    np.testing.assert_array_equal(in_strips.pixels, whole.pixels)
    assert in_strips.box == whole.box
    for one, other in zip(in_strips.changes, whole.changes, strict=True):
        assert one.largest == other.largest > 0
        assert one.mean == pytest.approx(other.mean, rel=1e-9)


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_pixels_are_left_out_only_where_the_mask_is_0(angle: float) -> None:
    pixels = noise(90, 120)
    patch = Patch(as_patch(noise(60, 70, 1)), at(20, 10, angle=angle), oval(60, 70))
    layer = _layer(patch, pixels.shape[:2])
    assert layer is not None
    box, whole = layer.box, pixels.astype(np.float32)
    mask = _warped(layer, layer.mask, box, cv2.INTER_LINEAR)
    assert (mask[:3] == 0).any()
    below = whole[box.y0 : box.y1, box.x0 : box.x1]
    for channel, source in enumerate(layer.colors):
        change = _warped(layer, source, box, cv2.INTER_CUBIC) * HALF_RANGE + HALF_RANGE
        below[..., channel] += (change - below[..., channel]) * mask
    made = composited(frame(pixels), [patch])
    np.testing.assert_array_equal(made.pixels, np.rint(whole).clip(0, 255))
    differs = np.abs(made.pixels.astype(int) - pixels)[box.y0 : box.y1, box.x0 : box.x1]
    assert made.changes[0].largest == differs.max()
    assert made.changes[0].mean == pytest.approx(differs.mean(), rel=1e-9)
