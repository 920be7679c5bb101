"""What is in front of a face, and beside it, stays bit for bit as it was recorded."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from latentsync.face.composite import composite
from latentsync.face.occlusion.occluders import Occluders
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.occlude import OccludeStage, cut_patches
from latentsync.types import Frame, Patch, PatchedFrame

HEIGHT, WIDTH = 240, 200


def scene(scale, angle, size, *, additive=False):
    """A frame with one patch over the whole aligned crop -> PatchedFrame, frame -> aligned crop.

    scale: frame pixels per aligned pixel. size: of the patch.
    """
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, 1 / scale)
    matrix[:, 2] += np.array([210, 280]) - (WIDTH / 2, HEIGHT / 2)
    to_patch = np.diag([size[1] / 420, size[0] / 560]) @ matrix
    new = torch.from_numpy(rng.uniform(-1, 1, (3, *size)).astype(np.float32))
    mask = np.ones(size, np.float32)
    patch = Patch(new, to_patch.astype(np.float32), mask, additive)
    return PatchedFrame(5, Frame(0, 0.0, 0, pixels), (patch,)), matrix


def occluder():
    """(140, 105) float32: a slanted bar with a soft rim."""
    drawn = np.zeros((140, 105), np.uint8)
    cv2.line(drawn, (0, 60), (104, 100), 255, 15)
    return np.maximum(drawn, cv2.GaussianBlur(drawn, (0, 0), 1.2)).astype(np.float32) / 255


def in_frame(mask, matrix):
    """(H, W) float32: the mask at each pixel of the frame."""
    to_cells = matrix / 4
    to_cells[:, 2] += (1 / 4 - 1) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask, to_cells, (WIDTH, HEIGHT), flags=flags)


@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("angle", [0, 23])
@pytest.mark.parametrize("scale", [0.3, 0.45, 0.8])
@pytest.mark.parametrize("size", [(560, 420), (512, 512), (168, 126), (70, 52)])
def test_where_the_occluder_is_1_the_frame_is_bit_equal(scale, angle, size, additive):
    patched, matrix = scene(scale, angle, size, additive=additive)
    there = in_frame(occluder(), matrix.copy()) >= 1 - 1e-6
    plain = composite(patched.frame, patched.patches)
    cut = composite(patched.frame, cut_patches(patched, occluder(), matrix).patches)
    before = patched.frame.pixels
    assert there.sum() > 500 and (plain[there] != before[there]).mean() > 0.9
    assert np.array_equal(cut[there], before[there])


def test_far_from_the_occluder_the_patch_shows_as_before():
    patched, matrix = scene(0.45, 0, (560, 420))
    away = cv2.dilate(in_frame(occluder(), matrix.copy()), np.ones((15, 15))) == 0
    plain = composite(patched.frame, patched.patches)
    cut = composite(patched.frame, cut_patches(patched, occluder(), matrix).patches)
    assert np.array_equal(cut[away], plain[away])


def test_a_patch_that_no_occluder_touches_is_the_same_object():
    patched, matrix = scene(0.45, 0, (560, 420))
    nothing = np.zeros((140, 105), np.float32)
    assert cut_patches(patched, nothing, matrix).patches[0] is patched.patches[0]


def test_the_patchs_own_pixels_do_not_change():
    patched, matrix = scene(0.45, 0, (560, 420))
    cut = cut_patches(patched, occluder(), matrix)
    assert cut.patches[0].pixels is patched.patches[0].pixels
    assert patched.patches[0].mask.min() == 1


def plan_of(matrix, masks, outline=None):
    return SimpleNamespace(
        source=np.arange(10)[::-1],
        matrices=np.repeat(matrix[None], 10, axis=0),
        occluders=Occluders(masks),
        outlines=[outline] * 10,
    )


def test_the_stage_takes_the_mask_of_the_source_frame():
    patched, matrix = scene(0.45, 0, (560, 420))  # output frame 5 shows frame 4 of the video
    mask = (occluder() * 255).astype(np.uint8)
    for frame, changes in ((4, True), (5, False)):
        (done,) = OccludeStage(plan_of(matrix, {frame: mask}))([patched], timer=StageTimer())
        assert (done.patches[0].mask.min() == 0) == changes


def test_no_patch_leaves_the_faces_outline():
    patched, matrix = scene(0.45, 0, (560, 420))
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = np.stack([100 + 40 * np.cos(angles), 120 + 40 * np.sin(angles)], axis=1)
    (done,) = OccludeStage(plan_of(matrix, {}, outline))([patched], timer=StageTimer())
    changed = (composite(patched.frame, done.patches) != patched.frame.pixels).any(axis=2)
    assert changed[120, 100] and changed[110:130, 70:130].mean() > 0.9
    assert not changed[:, :40].any() and not changed[:, 160:].any() and not changed[:60].any()


def test_a_frame_without_patches_is_handed_on():
    patched, matrix = scene(0.45, 0, (560, 420))
    bare = PatchedFrame(5, patched.frame)
    (done,) = OccludeStage(plan_of(matrix, {4: np.full((140, 105), 255, np.uint8)}))(
        [bare], timer=StageTimer()
    )
    assert done is bare
