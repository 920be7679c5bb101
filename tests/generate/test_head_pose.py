"""Where a mouth belongs in another frame: the head's pose, steadied, and the map between two."""

from __future__ import annotations

import numpy as np

from latentsync.generate.replay.head_pose import MOUTH, RESTING, fit_head_pose, placement, steadied
from latentsync.generate.replay.lips import NOSE_TIP
from latentsync.geometry import points_to_aligned

REST = np.array([[129, 351], [291, 350], [207, 334], [208, 367], [206, 489], [205, 242]], float)
"""(6, 2) aligned pixels: the mouth, in the order of MOUTH, and the tip of the nose."""


def test_a_placement_is_the_affine_map_between_two_head_poses() -> None:
    planted = np.array([[1.02, 0.03, -5.0], [-0.02, 0.97, 8.0]])
    moved = REST @ planted[:, :2].T + planted[:, 2]
    np.testing.assert_allclose(placement(REST, moved), planted, atol=1e-9)


def test_the_mouth_position_is_fitted_to_head_pose_during_speech() -> None:
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.1, (400, 2))
    points = np.zeros((400, 11, 2))
    points[:, list(MOUTH)] = REST[:5] + 60 * pose[:, None, :]
    points[:, list(MOUTH)[3:]] += rng.normal(0, 8, (400, 1, 1))  # speech
    points[:, NOSE_TIP] = [205, 242] + 100 * pose
    model = fit_head_pose(points, pose)
    asked = np.array([[0.1, -0.05], [0.0, 0.0]])
    shift = model(asked)[0] - model(asked)[1]
    assert shift.shape == (len(RESTING), 2)
    np.testing.assert_allclose(shift[:3], np.tile([6, -3], (3, 1)), atol=0.8)
    np.testing.assert_allclose(shift[5], [10, -5], atol=1.2)


def test_a_pose_outside_the_fitted_range_is_clipped() -> None:
    pose = np.random.default_rng(0).uniform(-0.1, 0.1, (100, 2))
    points = 100 * pose[:, None, :] + np.zeros((100, 11, 2))
    model = fit_head_pose(points, pose)
    far, edge = model(np.array([[9.0, 9.0]])), model(pose.max(axis=0)[None])
    np.testing.assert_allclose(far, edge)


def test_steadying_keeps_runs_apart_and_steady_values_as_they_are() -> None:
    values = np.concatenate([np.full((20, 2), 1.0), np.full((20, 2), 5.0)])
    np.testing.assert_allclose(steadied(values, np.repeat([0, 1], 20), 2.0), values)
    noise = np.random.default_rng(0).normal(size=(200, 1))
    assert steadied(noise, np.zeros(200, int), 2.0).std() < 0.6 * noise.std()
    np.testing.assert_array_equal(steadied(noise, np.zeros(200, int), 0.0), noise)


def test_points_are_carried_from_the_frame_into_the_aligned_crop() -> None:
    points = np.array([[[10.0, 20.0], [30.0, 40.0]]])
    matrix = np.array([[[2.0, 0.0, 1.0], [0.0, 2.0, -1.0]]])
    np.testing.assert_allclose(points_to_aligned(points, matrix), [[[21, 39], [61, 79]]])
