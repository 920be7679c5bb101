"""Patches over frames of 16 bits: laid on the SDR view, added in the video's own coding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from latentsync.curves import HLG, PQ
from latentsync.face.composite import composited
from latentsync.tone import extract_levels, to_levels
from latentsync.types import Frame, Patch

OF_10_BITS = 65535 / 1023
TRANSFERS = pytest.mark.parametrize("transfer", ["", HLG, PQ])
SIZE = 200


def ramp(transfer: str) -> Frame:
    """Grey from black to white over the whole range of the coding, in steps of 10 bits."""
    codes = np.rint(np.rint(np.linspace(0, 1023, 1024)) * OF_10_BITS).astype(np.uint16)
    pixels = np.broadcast_to(codes[None, :, None], (SIZE, 1024, 3))
    return Frame(0, 0.0, 0, np.ascontiguousarray(pixels), transfer=transfer)


def feathered(width: int) -> np.ndarray:
    mask = np.zeros((SIZE, width), np.float32)
    mask[50:-50, 50:-50] = 1
    return cv2.GaussianBlur(mask, (0, 0), 10)


@TRANSFERS
@pytest.mark.parametrize("scale", [1.0, 1.37])
def test_a_grey_ramp_through_a_patch_of_itself_has_no_step(transfer: str, scale: float) -> None:
    frame = ramp(transfer)
    matrix = np.array([[scale, 0, 0.3], [0, scale, -20.0]])
    size = round(SIZE * scale), round(1024 * scale)
    pixels = extract_levels(frame, matrix, size)
    mask = cv2.resize(feathered(1024), size[::-1])
    made = composited(frame, [Patch(pixels, matrix, mask)]).pixels
    off = np.abs(made.astype(int) - frame.pixels)
    assert off.max() <= OF_10_BITS
    assert (np.diff(made.astype(int), axis=1) >= 0).all()


@TRANSFERS
def test_untouched_pixels_are_equal_and_nothing_counts_as_changed(transfer: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (SIZE, 300, 3)).astype(np.uint16)
    frame, mask = Frame(0, 0.0, 0, pixels, transfer=transfer), feathered(300)
    nothing = Patch(torch.zeros(3, SIZE, 300), np.eye(2, 3), mask, additive=True)
    same = composited(frame, [nothing, nothing])
    assert np.array_equal(same.pixels, pixels)
    assert [change.largest for change in same.changes] == [0, 0]
    added = composited(frame, [nothing, Patch(nothing.pixels + 0.1, np.eye(2, 3), mask, True)])
    outside = cv2.dilate(mask, np.ones((5, 5))) == 0
    assert outside.any() and np.array_equal(added.pixels[outside], pixels[outside])
    inside = mask > 0.5
    assert (added.pixels[inside] != pixels[inside]).any(axis=1).mean() > 0.9
    assert added.changes[0].largest == 0 < added.changes[1].largest


@TRANSFERS
def test_a_patch_shows_its_own_colours_in_the_view(transfer: str) -> None:
    frame = ramp(transfer)
    patch = Patch(torch.full((3, SIZE, 1024), 0.2), np.eye(2, 3), np.ones((SIZE, 1024), np.float32))
    made = composited(frame, [patch]).pixels[50:-50]
    assert np.abs(to_levels(made, transfer) - 0.6 * 255).max() < 0.25
