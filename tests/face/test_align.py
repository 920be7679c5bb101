"""Landmarks, the similarity that they give, and how steady it is in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.face.align import align_video, smooth_track, steady_track
from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import (
    CONTROL,
    FIVE,
    LANDMARKS,
    MESH_POINTS,
    MESH_SIZE,
    POINTS_106,
    SIZE_106,
    from_106,
    from_mesh,
)
from latentsync.face.tracks import ChosenFace
from latentsync.geometry import TEMPLATE, similarity
from latentsync.types import Alignment

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)
shifts = st.tuples(st.floats(-4000, 4000), st.floats(-4000, 4000))


def matrix(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def at(fps: float, frames: int) -> np.ndarray:
    """(F,) presentation times."""
    return np.arange(frames) / fps


def steady(points: np.ndarray, fps: float = 25) -> np.ndarray:
    return steady_track(points, seconds=at(fps, len(points)), smoothing_seconds=0.08)


def align(faces, smoothing_seconds: float = 0.08) -> list[Alignment | None]:
    times = at(25, len(faces))
    return align_video(faces, seconds=times, smoothing_seconds=smoothing_seconds)


def moved(points: np.ndarray, by: np.ndarray) -> np.ndarray:
    return points @ by[:, :2].T + by[:, 2]


def chosen(control: np.ndarray, track: int = 0) -> ChosenFace:
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    landmarks[CONTROL] = control
    return ChosenFace(DetectedFace(landmarks, np.zeros(4, np.float32), 0.9), track)


def matrices(aligned: list[Alignment | None]) -> np.ndarray:
    return np.stack([one.matrix for one in aligned if one is not None])


@pytest.mark.parametrize(
    ("convert", "table", "size"),
    [(from_mesh, MESH_POINTS, MESH_SIZE), (from_106, POINTS_106, SIZE_106)],
)
def test_each_landmark_is_the_mean_of_its_points(convert, table, size) -> None:
    points = np.random.default_rng(0).uniform(0, 2000, (size, 2))
    got = convert(points)
    assert got.dtype == np.float32 and tuple(table) == LANDMARKS
    for name, point in zip(LANDMARKS, got, strict=True):
        np.testing.assert_allclose(point, points[list(table[name])].mean(axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="landmarks"):
        convert(points[:-1])


def test_the_slices_name_what_they_say() -> None:
    assert LANDMARKS[CONTROL] == ("brow_left", "brow_right", "nose")
    assert LANDMARKS[FIVE] == ("eye_left", "eye_right", "nose_tip", "mouth_left", "mouth_right")


@given(angles, scales, shifts)
def test_a_similarity_is_found_again(angle, scale, shift) -> None:
    forward = matrix(angle, scale, shift)
    points = np.array([[10.0, 20], [58, 25], [30, 70], [44, 40]])
    got = similarity(points, moved(points, forward))
    np.testing.assert_allclose(got, forward, atol=1e-2 * scale, rtol=1e-4)


@given(st.integers(0, 2**32 - 1))
def test_no_other_similarity_fits_better(seed) -> None:
    rng = np.random.default_rng(seed)
    points = TEMPLATE + rng.normal(0, 20, TEMPLATE.shape)
    best = similarity(points, TEMPLATE).astype(np.float64)

    def error(candidate: np.ndarray) -> float:
        return float(np.square(moved(points, candidate) - TEMPLATE).sum())

    other = matrix(rng.normal(0, 0.01), 1 + rng.normal(0, 0.01), (0, 0))[:, :2] @ best
    other[:, 2] += rng.normal(0, 1, 2)
    assert error(best) <= error(other) + 1e-3


@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_face_is_not_mirrored_back(seed) -> None:
    mirrored = (TEMPLATE + np.random.default_rng(seed).normal(0, 5, (3, 2))) * [-1, 1]
    assert np.linalg.det(similarity(mirrored, TEMPLATE)[:, :2]) > 0


def test_many_frames_at_once_equal_one_by_one() -> None:
    points = TEMPLATE + np.random.default_rng(1).normal(0, 9, (5, 3, 2))
    one_by_one = np.stack([similarity(frame, TEMPLATE) for frame in points])
    np.testing.assert_array_equal(similarity(points, TEMPLATE), one_by_one)


def test_coinciding_points_have_no_similarity() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity(np.ones((3, 2)), TEMPLATE)


@given(st.integers(1, 40), st.floats(0, 6), st.integers(0, 2))
def test_a_steady_motion_is_left_as_it_is(frames, sigma, degree) -> None:
    """Also at both ends, and for tracks shorter than the window; a still face for degree 0."""
    speed = 0.0 if degree == 0 else 3.5
    values = 100 + speed * np.arange(frames, dtype=np.float64)[:, None]
    np.testing.assert_allclose(smooth_track(values, sigma, degree=degree), values, atol=1e-6)


def test_smoothing_is_the_plain_gaussian_away_from_the_ends() -> None:
    values = np.random.default_rng(2).normal(size=(41, 2))
    weight = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    expected = (weight[:, None] / weight.sum() * values[20 - 6 : 20 + 7]).sum(axis=0)
    np.testing.assert_allclose(smooth_track(values, 2.0)[20], expected)


def test_smoothing_runs_the_same_forwards_and_backwards() -> None:
    values = np.random.default_rng(3).normal(size=(30, 3, 2))
    np.testing.assert_allclose(smooth_track(values[::-1], 2.0)[::-1], smooth_track(values, 2.0))


def test_a_still_face_stays_still() -> None:
    """Noise as the detector has it at 100 px between the brows, 0.1 px on each point: the corners
    of the crop, which lever it up, then stray by less than 0.1 px."""
    brows_apart = 100.0
    scale = brows_apart / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    noise = np.random.default_rng(4).normal(0, 0.1, (200, 3, 2))
    raw, calm = (
        corners_in_frame(similarity(points, TEMPLATE))
        for points in (TEMPLATE * scale + noise, steady(TEMPLATE * scale + noise))
    )
    assert raw.std(axis=0).max() > 0.2
    assert calm.std(axis=0).max() < 0.1


def corners_in_frame(matrices: np.ndarray) -> np.ndarray:
    corners = np.array([[0, 0], [420, 0], [0, 560], [420, 560.0]])
    back = np.linalg.inv(matrices[:, :, :2].astype(np.float64))
    return np.einsum("fij,fkj->fki", back, corners - matrices[:, None, :, 2])


@pytest.mark.parametrize("period", [8, 15, 25, 40])
def test_a_nodding_head_is_followed(period) -> None:
    """Up and down by 12 px, at 100 px between the brows: 9 px a frame at the fastest, where a plain
    Gaussian of the same sigma is 8 px off."""
    scale = 100 / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    nod = 12 * np.sin(2 * np.pi * np.arange(120) / period)
    points = TEMPLATE * scale + np.stack([0 * nod, nod], axis=-1)[:, None]
    assert np.abs(steady(points) - points).max() < 0.6
    if period == 8:
        assert np.abs(smooth_track(points, 2.0) - points).max() > 8


@pytest.mark.parametrize(("height", "period"), [(12, 12), (12, 25), (30, 5), (30, 25)])
def test_a_nod_is_followed_also_where_it_crosses_its_smoothed_path(height, period) -> None:
    """At full speed, and without straying from the path in that frame: it is 0.3 to 0.6 px off
    where only the frames that stray count as moving."""
    scale = 100 / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    nod = height * np.sin(2 * np.pi * np.arange(120) / period)
    points = TEMPLATE * scale + np.stack([0 * nod, nod], axis=-1)[:, None]
    assert (
        np.abs(
            steady_track(points, seconds=at(25, len(points)), smoothing_seconds=0.08) - points
        ).max()
        < 0.16
    )


def test_no_smoothing_leaves_the_points() -> None:
    points = TEMPLATE + np.random.default_rng(5).normal(0, 3, (9, 3, 2))
    got = steady_track(points, seconds=at(25, 9), smoothing_seconds=0.0)
    np.testing.assert_array_equal(got, points)


def test_nothing_passes_over_a_cut_or_a_gap() -> None:
    rng = np.random.default_rng(6)
    here, there = (TEMPLATE + shift + rng.normal(0, 0.3, (12, 3, 2)) for shift in (0, 400))
    first = [chosen(points, 0) for points in here]
    second = [chosen(points, 1) for points in there]
    together = align([*first, *second, None, *first])
    alone = align(first)
    np.testing.assert_array_equal(matrices(together)[:12], matrices(alone))
    np.testing.assert_array_equal(matrices(together)[24:], matrices(alone))
    assert together[24] is None and len(together) == 37


def test_an_alignment_keeps_what_was_detected() -> None:
    faces = [chosen(TEMPLATE + i, track=7) for i in range(3)]
    aligned = align(faces)
    for face, one in zip(faces, aligned, strict=True):
        assert one is not None and one.landmarks is face.face.landmarks
        assert (one.track, one.confidence) == (7, 0.9)
        assert one.matrix.shape == (2, 3) and one.matrix.dtype == np.float32
