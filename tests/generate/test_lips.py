"""Lip shapes of a video and their prediction from audio, out of fold where that is needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.face.landmarks import LANDMARKS
from latentsync.generate.replay import lips
from latentsync.generate.replay.lips import fit_lips, fit_ridge, head_pose, lip_shape

FACE = np.array(
    [
        [107, 106],
        [316, 103],
        [207, 240],
        [127, 177],
        [300, 176],
        [205, 242],
        [129, 351],
        [291, 350],
        [207, 334],
        [208, 367],
        [206, 489],
    ],
    np.float64,
)


def video(frames: int, *, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """features, lips and seconds of a video whose lips follow its audio, with noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(frames, 30)).astype(np.float32)
    follows = features @ rng.normal(size=(30, 2)) / np.sqrt(30)
    shape = 0.15 + 0.05 * (follows + noise * rng.normal(size=(frames, 2)))
    return features, shape, np.arange(frames) / 25


def test_the_points_are_named_in_the_order_of_the_landmarks() -> None:
    for place, name in enumerate(LANDMARKS):
        assert getattr(lips, name.upper()) == place


@given(st.floats(-3, 3), st.floats(0.1, 5), st.floats(-500, 500), st.floats(-500, 500))
@settings(max_examples=40, deadline=None)
def test_zoom_roll_and_place_change_neither_shape_nor_pose(
    turn: float, zoom: float, x: float, y: float
) -> None:
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = FACE @ matrix.T + [x, y]
    np.testing.assert_allclose(lip_shape(moved[None]), lip_shape(FACE[None]), atol=1e-6)
    np.testing.assert_allclose(head_pose(moved[None]), head_pose(FACE[None]), atol=1e-6)


def test_aperture_and_width_are_in_distances_between_the_brows() -> None:
    brows = np.hypot(209, 3)
    expected = [[np.hypot(1, 33) / brows, np.hypot(162, 1) / brows]]
    np.testing.assert_allclose(lip_shape(FACE[None]), expected)


def test_speech_moves_no_head_and_a_turned_head_opens_no_mouth() -> None:
    speaking, turned = FACE.copy(), FACE.copy()
    speaking[lips.MOUTH_LEFT :] += [[3, 4], [-2, 3], [0, -4], [1, 30], [2, 25]]
    turned[lips.NOSE_TIP] += [20, -9]
    np.testing.assert_allclose(head_pose(speaking[None]), head_pose(FACE[None]))
    np.testing.assert_allclose(lip_shape(turned[None]), lip_shape(FACE[None]))
    turn, nod = (head_pose(turned[None]) - head_pose(FACE[None]))[0]
    assert turn > 0.1 and nod < -0.04


def test_a_ridge_without_a_penalty_recovers_a_linear_law() -> None:
    features, shape, _ = video(200, noise=0.0)
    ridge = fit_ridge(features, shape, penalty=1e-6)
    np.testing.assert_allclose(ridge(features), shape, atol=1e-5)


def test_constant_features_predict_the_mean() -> None:
    shape = np.random.default_rng(1).normal(size=(50, 2))
    ridge = fit_ridge(np.ones((50, 4)), shape)
    np.testing.assert_allclose(ridge(np.ones((3, 4))), np.tile(shape.mean(axis=0), (3, 1)))


def test_reliability_is_high_only_where_lips_follow_the_audio() -> None:
    sure = fit_lips(*video(1000, noise=0.3))
    unsure = fit_lips(*video(1000, noise=20.0))
    assert sure.reliability.min() > 0.8 and not sure.low_confidence
    assert unsure.reliability.max() < 0.2 and unsure.low_confidence


def test_a_part_of_a_video_is_predicted_by_a_fold_without_it() -> None:
    """Other lips there, the same expectation: no number of them, nor of their margin, is used."""
    features, shape, seconds = video(400, noise=0.5)
    near = np.zeros(400, bool)
    near[80 - 12 : 120 + 12] = True  # the third of ten folds, and half a second either side
    other = shape.copy()
    other[near] = np.random.default_rng(7).uniform(0, 1, (near.sum(), 2))
    one, two = fit_lips(features, shape, seconds), fit_lips(features, other, seconds)
    np.testing.assert_array_equal(one.folds[2].slope, two.folds[2].slope)
    np.testing.assert_array_equal(one.folds[2].offset, two.folds[2].offset)
    assert not np.allclose(one.whole.slope, two.whole.slope)


def test_a_prediction_for_a_second_of_the_video_comes_from_its_fold() -> None:
    features, shape, seconds = video(400, noise=0.5)
    regression = fit_lips(features, shape, seconds)
    expected = regression.expected(features, shown=seconds)
    for frame in (0, 39, 40, 210, 399):
        ridge = regression.folds[frame // 40]
        np.testing.assert_allclose(expected[frame], ridge(features[frame], regression.gain))


def test_noise_is_overfitted_only_inside_the_fit() -> None:
    features, shape, seconds = video(60, noise=1e3)
    regression = fit_lips(features, shape, seconds, margin=0.2)
    seen = np.corrcoef(regression.expected(features)[:, 0], shape[:, 0])[0, 1]
    unseen = np.corrcoef(regression.expected(features, shown=seconds)[:, 0], shape[:, 0])[0, 1]
    assert seen > 0.35 > unseen


def test_predictions_have_the_variance_of_the_lips() -> None:
    features, shape, seconds = video(600, noise=0.5)
    regression = fit_lips(features, shape, seconds)
    expected = regression.expected(features, shown=seconds)
    np.testing.assert_allclose(expected.std(axis=0), shape.std(axis=0), rtol=0.05)
    assert (regression.gain >= 1).all() and (regression.gain <= 2).all()


@pytest.mark.parametrize("frames", [1, 5, 24])
def test_too_short_a_video_has_no_reliability(frames: int) -> None:
    features, shape, seconds = video(frames, noise=0.0)
    regression = fit_lips(features, shape, seconds)
    assert regression.low_confidence and not regression.reliability.any()
    assert np.isfinite(regression.expected(features, shown=seconds)).all()
