"""What is in front of a face, and beside it, stays bit for bit as it was recorded."""

from dataclasses import replace
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
TRACK = 3


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
    patch = Patch(new, to_patch.astype(np.float32), mask, additive, TRACK)
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
    cut = composite(patched.frame, cut_patches(patched.patches, occluder(), matrix))
    before = patched.frame.pixels
    assert there.sum() > 500 and (plain[there] != before[there]).mean() > 0.9
    assert np.array_equal(cut[there], before[there])


def test_far_from_the_occluder_the_patch_shows_as_before():
    patched, matrix = scene(0.45, 0, (560, 420))
    away = cv2.dilate(in_frame(occluder(), matrix.copy()), np.ones((15, 15))) == 0
    plain = composite(patched.frame, patched.patches)
    cut = composite(patched.frame, cut_patches(patched.patches, occluder(), matrix))
    assert np.array_equal(cut[away], plain[away])


def test_a_patch_that_no_occluder_touches_is_the_same_object():
    patched, matrix = scene(0.45, 0, (560, 420))
    nothing = np.zeros((140, 105), np.float32)
    assert cut_patches(patched.patches, nothing, matrix)[0] is patched.patches[0]


def test_the_patchs_own_pixels_do_not_change():
    patched, matrix = scene(0.45, 0, (560, 420))
    (cut,) = cut_patches(patched.patches, occluder(), matrix)
    assert cut.pixels is patched.patches[0].pixels
    assert patched.patches[0].mask.min() == 1


def plan_of(matrix, masks, outline=None, visible=1.0):
    face = SimpleNamespace(outline=outline)
    return SimpleNamespace(
        tracks={TRACK: None},
        source=np.arange(10)[::-1],
        matrices=np.repeat(matrix[None], 10, axis=0),
        visible=np.full(10, visible, np.float32),
        analysis=SimpleNamespace(occluders=Occluders(masks), alignments=[face] * 10),
    )


def after_stage(plan, patched):
    (done,) = OccludeStage([plan])([patched], timer=StageTimer())
    return done


def test_the_stage_takes_the_mask_of_the_source_frame():
    patched, matrix = scene(0.45, 0, (560, 420))  # output frame 5 shows frame 4 of the video
    mask = (occluder() * 255).astype(np.uint8)
    for frame, changes in ((4, True), (5, False)):
        done = after_stage(plan_of(matrix, {frame: mask}), patched)
        assert (done.patches[0].mask.min() == 0) == changes


def test_no_patch_leaves_the_faces_outline():
    patched, matrix = scene(0.45, 0, (560, 420))
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = np.stack([100 + 40 * np.cos(angles), 120 + 40 * np.sin(angles)], axis=1)
    done = after_stage(plan_of(matrix, {}, outline), patched)
    changed = (composite(patched.frame, done.patches) != patched.frame.pixels).any(axis=2)
    assert changed[120, 100] and changed[110:130, 70:130].mean() > 0.9
    assert not changed[:, :40].any() and not changed[:, 160:].any() and not changed[:60].any()


def test_a_frame_without_patches_is_handed_on():
    patched, matrix = scene(0.45, 0, (560, 420))
    bare = PatchedFrame(5, patched.frame)
    done = after_stage(plan_of(matrix, {4: np.full((140, 105), 255, np.uint8)}), bare)
    assert done.patches == ()


def test_where_the_head_turns_away_the_patch_fades():
    patched, matrix = scene(0.45, 0, (560, 420))
    half = after_stage(plan_of(matrix, {}, visible=0.5), patched)
    np.testing.assert_array_equal(half.patches[0].mask, np.float32(0.5))
    gone = after_stage(plan_of(matrix, {}, visible=0.0), patched)
    assert np.array_equal(composite(patched.frame, gone.patches), patched.frame.pixels)


def test_each_speaker_s_patches_get_the_masks_of_that_speaker():
    patched, matrix = scene(0.45, 0, (560, 420))
    (own,) = patched.patches
    both = replace(patched, patches=(own, replace(own, track=TRACK + 1)))
    mine = plan_of(matrix, {4: np.full((140, 105), 255, np.uint8)})
    theirs = plan_of(matrix, {})
    theirs.tracks = {TRACK + 1: None}
    (done,) = OccludeStage([mine, theirs])([both], timer=StageTimer())
    assert not done.patches[0].mask.any() and done.patches[1].mask.all()
