"""Deep and HDR frames in the pipeline: who gets which pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentsync.curves import HLG
from latentsync.errors import FaceNotFoundError
from latentsync.geometry import ALIGNED_SIZE
from latentsync.pipeline.observation import Analyzer
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.composite import render, side_by_side
from latentsync.pipeline.stages.generate import _pasted
from latentsync.pipeline.stages.restore import crop_of
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.settings.schema import FaceConfig
from latentsync.tone import sdr, to_levels
from latentsync.types import Frame, Patch, PatchedFrame

IDENTITY, SIZE = np.eye(2, 3), (48, 64)


@pytest.fixture
def frame() -> Frame:
    """A dark to bright ramp, half transparent."""
    ramp = np.linspace(9000, 50000, SIZE[1]).astype(np.uint16)
    pixels = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (*SIZE, 3)))
    return Frame(0, 0.0, 0, pixels, np.full(SIZE, 30000, np.uint16), HLG, "carrier")


def patch(value: float, *, additive: bool) -> Patch:
    pixels, mask = torch.full((3, *SIZE), value), np.zeros(SIZE, np.float32)
    mask[10:40, 10:50] = 1
    return Patch(pixels, IDENTITY, mask, additive)


def test_detection_and_measures_get_the_view_of_8_bits(frame: Frame) -> None:
    seen: list[np.ndarray] = []

    class Detector:
        def reset(self) -> None: ...

        def __call__(self, pixels: np.ndarray) -> list[object]:
            seen.append(pixels)
            return []

    meter = SharpnessMeter(*[np.ones(ALIGNED_SIZE, np.float32)] * 2)
    analyzer = Analyzer(Detector(), meter, FaceConfig(), StageTimer())  # type: ignore[arg-type]
    with pytest.raises(FaceNotFoundError):
        analyzer([frame])
    assert len(seen) == 1 and np.array_equal(seen[0], sdr(frame).pixels)


def test_networks_get_the_view_with_the_patches_not_rounded_to_8_bits(frame: Frame) -> None:
    view = to_levels(frame.pixels, HLG).transpose(2, 0, 1) / 127.5 - 1
    crop = crop_of(PatchedFrame(0, frame), IDENTITY, SIZE).numpy()
    assert np.abs(crop - view).max() < 1e-4
    patched = PatchedFrame(0, frame, (patch(0.1, additive=True),))
    crop = crop_of(patched, IDENTITY, SIZE).numpy()
    assert np.abs(crop - view)[:, :8].max() < 1e-4
    assert np.abs(crop - view - 0.1)[:, 14:36, 14:46].max() < 1e-3


def test_alpha_and_carrier_stay_with_the_rendered_frame(frame: Frame) -> None:
    made = render(PatchedFrame(0, frame, (patch(0.3, additive=False),)))
    assert made.after.pixels.dtype == np.uint16 and made.after.transfer == HLG
    assert made.after.alpha is frame.alpha and made.after.carrier == "carrier"
    assert np.array_equal(made.after.pixels[:8], frame.pixels[:8])
    assert 0 < made.generated[-1].largest < 256
    both = side_by_side(frame, made.after)
    assert both.alpha is not None and both.alpha.shape == both.pixels.shape[:2] == (48, 128)


def test_a_paste_as_upstream_changes_no_pixel_outside_of_the_crop(frame: Frame) -> None:
    matrix = np.array([[8.0, 0, -100], [0, 8.0, -60]])
    pasted = _pasted(frame, torch.zeros(3, 64, 64), matrix, 0)
    made = render(PatchedFrame(0, frame, (pasted,))).after.pixels
    changed = (made != frame.pixels).any(axis=2)
    assert 0 < changed.mean() < 0.5
