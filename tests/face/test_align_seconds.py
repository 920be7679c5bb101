"""The alignment is as steady, and follows as closely, at every frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face.align import align_video, smooth_track, steady_track
from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import CONTROL, LANDMARKS
from latentsync.face.tracks import ChosenFace
from latentsync.geometry import TEMPLATE, similarity

RATES = (12, 25, 60, 120)
BROWS_APART = 100.0  # pixels; all movements and bounds below are meant for a face of this size
FACE = TEMPLATE * BROWS_APART / (TEMPLATE[1, 0] - TEMPLATE[0, 0])
NOISE = 0.1  # pixels, sigma: as the detector has it on each point of each frame
SMOOTHING = 0.08


def path(shift: np.ndarray) -> np.ndarray:
    """(F,) pixels downwards -> (F, 3, 2)."""
    return FACE + np.stack([0 * shift, shift], axis=-1)[:, None]


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, NOISE, (frames, 3, 2))


def steady(points: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    return steady_track(points, seconds=seconds, smoothing_seconds=SMOOTHING)


def corners(points: np.ndarray) -> np.ndarray:
    """(F, 3, 2) -> (F, 4, 2): the crop's corners in the frame."""
    matrices = similarity(points, TEMPLATE).astype(np.float64)
    crop = np.array([[0, 0], [420, 0], [0, 560], [420, 560.0]])
    back = np.linalg.inv(matrices[:, :, :2])
    return np.einsum("fij,fkj->fki", back, crop - matrices[:, None, :, 2])


@pytest.mark.parametrize("fps", RATES)
def test_a_still_face_keeps_still_at_every_rate(fps) -> None:
    """In half a minute the corners stray by 0.08 px at 25 frames a second. At 12 there are half as
    many frames to take a mean of, at 120 five times as many."""
    seconds = np.arange(30 * fps) / fps
    noisy = path(np.zeros(len(seconds))) + noise(len(seconds))
    raw, calm = (corners(points).std(axis=0).max() for points in (noisy, steady(noisy, seconds)))
    assert raw > 0.2
    assert calm < 0.11


def nod(period: float):
    return lambda seconds: 12 * np.sin(2 * np.pi * seconds / period)


def glance(seconds: np.ndarray) -> np.ndarray:
    """60 px to the side within half a second, and still before and after."""
    return 30 - 30 * np.cos(np.pi * np.clip((seconds - 2) / 0.5, 0, 1))


MOVES = {
    "a nod in 0.32 s": nod(0.32),
    "in 0.6 s": nod(0.6),
    "in 1 s": nod(1.0),
    "in 1.6 s": nod(1.6),
    "in 2.5 s": nod(2.5),
    "a glance": glance,
}


def residual(move, fps: float, *, noisy: bool) -> np.ndarray:
    """(F, 3, 2) pixels off the true path."""
    seconds = np.arange(8 * fps) / fps
    points = path(move(seconds))
    detected = points + noise(len(seconds), seed=1) if noisy else points
    return steady(detected, seconds) - points


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_moving_face_is_followed_at_every_rate_as_at_25(move) -> None:
    """The largest lag; a plain Gaussian of the same sigma lags by up to 8 px."""
    lag = {fps: np.abs(residual(move, fps, noisy=False)).max() for fps in RATES}
    assert max(lag.values()) < 0.6
    assert all(lag[fps] < lag[25] + 0.06 for fps in RATES)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_noise_on_a_moving_face_is_no_stronger_than_as_detected(move) -> None:
    """R.m.s. over the video, lag and jitter together."""
    off = {fps: np.sqrt(np.square(residual(move, fps, noisy=True)).mean()) for fps in RATES}
    assert all(off[fps] < off[25] + 0.05 for fps in RATES)


def test_a_plain_gaussian_of_that_width_would_lag() -> None:
    seconds = np.arange(8 * 25) / 25
    points = path(nod(0.32)(seconds))
    assert np.abs(smooth_track(points, SMOOTHING * 25) - points).max() > 7


def chosen(points: np.ndarray, track: int = 0) -> list[ChosenFace]:
    landmarks = np.zeros((len(points), len(LANDMARKS), 2), np.float32)
    landmarks[:, CONTROL] = points
    faces = [DetectedFace(one, np.zeros(4, np.float32), 0.9) for one in landmarks]
    return [ChosenFace(face, track) for face in faces]


def test_each_run_is_smoothed_by_its_own_frame_rate() -> None:
    """A video glued together from 120 and 12 frames a second, each part as it would be alone."""
    fast, slow = np.arange(120) / 120, np.arange(24) / 12
    first, second = path(nod(1.0)(fast)) + noise(120), path(nod(1.0)(slow)) + noise(24)
    faces = [*chosen(first, 0), None, *chosen(second, 1)]
    seconds = np.concatenate([fast, [1.0], 1.1 + slow])
    aligned = align_video(faces, seconds=seconds, smoothing_seconds=SMOOTHING)
    matrices = np.stack([one.matrix for one in aligned if one is not None])
    for points, times, got in ((first, fast, matrices[:120]), (second, slow, matrices[120:])):
        alone = steady(points.astype(np.float32), times)
        np.testing.assert_allclose(got, similarity(alone, TEMPLATE), rtol=1e-4, atol=1e-3)


def in_frames(points: np.ndarray) -> np.ndarray:
    """The smoothing as it was while it counted frames: sigma 2, a stray moves its neighbours."""
    followed = points
    for width, degree in ((1.0, 2), (4.0, 1)):
        smooth = smooth_track(points, width, degree=degree)
        brows = np.linalg.norm(smooth[:, 1] - smooth[:, 0], axis=1)
        stray = np.linalg.norm(points - smooth, axis=2).max(axis=1) / brows
        moving = np.clip(stray / 0.006 - 1, 0, 1)
        nearby = [moving[max(0, i - 1) : i + 2].max() for i in range(len(moving))]
        share = smooth_track(np.array(nearby), 1.0, degree=0)[:, None, None]
        followed = share * followed + (1 - share) * smooth
    return followed


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_at_25_frames_a_second_it_is_the_smoothing_in_frames(move) -> None:
    seconds = 3600.04 + np.arange(100) / 25
    points = path(move(seconds - 3600.04)) + noise(100)
    np.testing.assert_allclose(steady(points, seconds), in_frames(points), atol=1e-6)


@pytest.mark.parametrize("fps", RATES)
def test_backwards_the_path_is_the_same(fps) -> None:
    seconds = np.arange(3 * fps) / fps
    points = path(glance(seconds)) + noise(len(seconds))
    backwards = steady(points[::-1], -seconds[::-1])[::-1]
    np.testing.assert_allclose(backwards, steady(points, seconds), atol=1e-6)


def test_a_single_frame_stays_where_it_is() -> None:
    points = path(np.zeros(1)) + noise(1)
    np.testing.assert_allclose(steady(points, np.array([3.0])), points)
