"""Generated mouths are restored where they are blurrier than the person's own mouth in the film."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from latentsync.face.align import TEMPLATE, align_film, similarity
from latentsync.face.detector import load_detector
from latentsync.face.landmarks import CONTROL
from latentsync.face.masks import region_mask, rest_mask
from latentsync.face.tracks import ChosenFace
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.decide import AgainstOwnMouth
from latentsync.pipeline.plan import FilmPlan
from latentsync.restore.sharpness import SharpnessMeter
from latentsync.schema import RestoreConfig
from latentsync.types import Frame, Patch, PatchedFrame

FRAMES = 12


@pytest.fixture(scope="module")
def face():
    """The frame (H, W, 3), its alignment, a plan of FRAMES such frames, and the meter."""
    from skimage import data

    pixels = np.ascontiguousarray(data.astronaut())
    found = load_detector("mediapipe")(pixels)[0]
    alignment = align_film([ChosenFace(found, 0)], seconds=[0.0], smoothing_seconds=0)[0]
    meter = SharpnessMeter(region_mask("mouth"), rest_mask())
    own = meter(pixels, similarity(found.landmarks[CONTROL], TEMPLATE))
    index = np.arange(FRAMES)
    survey = SourceAnalysis(
        index, index / 25, index < 0, [alignment] * FRAMES, np.stack([own] * FRAMES)
    )
    nothing = np.zeros(FRAMES, np.float32)
    plan = FilmPlan(survey, nothing + 1.0, nothing, nothing, {})
    return pixels, alignment, plan, meter


def _decided(face, blurs, **settings) -> np.ndarray:
    """Weights for mouths drawn as the film's own, blurred by so many pixels each."""
    pixels, alignment, plan, meter = face
    if "scale" in settings:
        plan = replace(plan, scale=np.full(FRAMES, settings.pop("scale"), np.float32))
    decision = AgainstOwnMouth(plan, RestoreConfig(**settings), meter)
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    mask = cv2.warpAffine(
        region_mask("lower_face"),
        alignment.matrix,
        pixels.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    weights = []
    for index, blur in enumerate(blurs):
        drawn = cv2.GaussianBlur(pixels, (0, 0), blur) if blur else pixels
        patch = Patch(torch.from_numpy(drawn).permute(2, 0, 1).float() / 127.5 - 1, matrix, mask)
        item = PatchedFrame(Frame(index, index / 25, index, pixels), (patch,))
        weights.extend(decision.weights([item]))
    return np.array(weights)


def test_a_mouth_as_sharp_as_one_s_own_is_left_alone(face):
    assert (_decided(face, [0] * 6) == 0).all()


def test_a_blurred_mouth_is_restored_from_the_first_frame_on(face):
    assert (_decided(face, [2] * 6) == 1).all()


def test_a_change_of_mind_is_a_fade(face):
    weights = _decided(face, [0] * 2 + [3] * 10, fade_seconds=3 / 25)
    steps = np.diff(weights)
    assert weights[0] == 0
    assert weights[-1] == 1
    assert steps.min() >= 0
    assert steps.max() == pytest.approx(0.25)


def test_a_face_too_small_to_matter_is_left_alone(face):
    assert (_decided(face, [2] * 4, scale=0.3, min_scale=0.5) == 0).all()


@pytest.mark.parametrize(("when", "weight"), [("always", 1), ("never", 0)])
def test_the_decision_can_be_taken_away(face, when, weight):
    assert (_decided(face, [0, 2], when=when) == weight).all()
