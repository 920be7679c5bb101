"""Faces are detected, tracked and placed correctly, by the real networks on a real portrait."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from latentsync.errors import UnknownPluginError
from latentsync.face.align import steady_track
from latentsync.face.detector import DetectedFace, FaceBox, FaceTracker, load_detector
from latentsync.face.landmarks import CONTROL, LANDMARKS
from latentsync.geometry import TEMPLATE, similarity
from tests.support.portrait import PORTRAIT, point, room, turned


@pytest.fixture(scope="module")
def detector() -> FaceTracker:
    return load_detector("mediapipe", max_faces=4, min_confidence=0.5)


@pytest.fixture(autouse=True)
def unrelated(detector: FaceTracker) -> None:
    detector.reset()


@pytest.fixture(scope="module")
def expected(detector: FaceTracker) -> DetectedFace:
    (face,) = detector(PORTRAIT)
    return face


def test_a_portrait_has_one_face_with_its_parts_in_their_places(expected) -> None:
    assert expected.landmarks.shape == (len(LANDMARKS), 2)
    assert expected.landmarks.dtype == expected.box.dtype == np.float32
    assert 0.5 <= expected.confidence <= 1
    # Where the parts lie in this well-known image, by eye.
    for name, place in {
        "eye_left": (203, 101),
        "eye_right": (246, 103),
        "nose_tip": (223, 129),
        "mouth_left": (203, 140),
        "mouth_right": (245, 141),
        "chin": (221, 178),
    }.items():
        assert np.linalg.norm(point(expected, name) - place) < 4, name
    assert point(expected, "brow_left")[1] < point(expected, "eye_left")[1]
    assert point(expected, "lip_upper")[1] < point(expected, "lip_lower")[1]


def test_landmarks_are_not_rounded(expected) -> None:
    assert np.abs(expected.landmarks - np.round(expected.landmarks)).max() > 0.1


def test_the_same_video_gives_the_same_faces(detector) -> None:
    video = [np.roll(PORTRAIT, 3 * i, axis=1) for i in range(4)]
    twice = []
    for _ in range(2):
        detector.reset()
        twice.append(np.stack([detector(frame)[0].landmarks for frame in video]))
    np.testing.assert_array_equal(*twice)


def test_the_first_result_for_a_face_is_as_good_as_the_tenth(detector) -> None:
    looks = np.stack([detector(PORTRAIT)[0].landmarks for _ in range(10)])
    assert np.abs(looks[0] - looks[-1]).max() < 0.7  # 3 px before the detector converges


def test_a_face_that_moves_is_followed_by_as_much(detector) -> None:
    first, second = (detector(np.roll(PORTRAIT, dx, axis=1))[0] for dx in (0, 12))
    np.testing.assert_allclose(second.landmarks - first.landmarks, [[12, 0]] * 11, atol=1.0)


def test_several_faces_come_largest_first_and_each_once(detector) -> None:
    pixels = room(700, 1100, (20, 40, 1.4), (540, 60, 1.8))
    for _ in range(4):
        faces = detector(pixels)
        assert [face.center[0] > 520 for face in faces] == [True, False]
        assert faces[0].area > 1.3 * faces[1].area


def test_at_most_max_faces_are_returned() -> None:
    few = load_detector("mediapipe", max_faces=1, min_confidence=0.5)
    assert len(few(room(700, 1100, (20, 40, 1.4), (540, 60, 1.8)))) == 1


def test_a_small_face_in_a_large_frame_is_detected_in_its_place(detector, expected) -> None:
    """47 px wide in 1280 x 720, too small for the mesh's own detector."""
    (face,) = detector(room(720, 1280, (900, 300, 0.5)))
    inside = expected.landmarks - [90, 0]
    np.testing.assert_allclose(face.landmarks, (inside + 0.5) * 0.5 - 0.5 + [900, 300], atol=2)


def test_a_4k_frame_is_reduced_and_the_face_put_back_in_its_place(detector, expected) -> None:
    (face,) = detector(room(2160, 3840, (1500, 500, 3.0)))
    inside = expected.landmarks - [90, 0]
    np.testing.assert_allclose(face.landmarks, (inside + 0.5) * 3 - 0.5 + [1500, 500], atol=6)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (9, 640), (2160, 16), (2160, 3840)])
def test_a_frame_without_a_face_has_none_however_odd(detector, size) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert detector(noise) == [] and detector(np.full_like(noise, 128)) == []


def test_a_grey_and_a_cut_out_frame_are_frames_like_others(detector, expected) -> None:
    grey = np.repeat(PORTRAIT.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    assert np.abs(detector(grey)[0].landmarks - expected.landmarks).max() < 4
    detector.reset()
    view = np.dstack([PORTRAIT, PORTRAIT])[:, :, :3]
    assert not view.flags.c_contiguous
    np.testing.assert_allclose(detector(view)[0].landmarks, expected.landmarks, atol=0.7)


def test_a_face_leaves_and_another_comes(detector) -> None:
    empty = np.full_like(PORTRAIT, 120)
    counts = [len(detector(frame)) for frame in (PORTRAIT, empty, empty, PORTRAIT)]
    assert counts == [1, 0, 0, 1]


def test_after_a_cut_the_face_is_detected(detector, expected) -> None:
    detector(room(512, 512, (212, 212, 1.0)))
    detector.reset()
    assert np.abs(detector(PORTRAIT)[0].landmarks - expected.landmarks).max() < 0.7


def test_four_sessions_in_four_threads_see_the_same_as_one_after_the_other() -> None:
    def seen(shift: int) -> np.ndarray:
        tracker = load_detector("mediapipe", max_faces=2)
        video = (np.roll(PORTRAIT, shift + 5 * i, axis=1) for i in range(8))
        return np.stack([tracker(frame)[0].landmarks for frame in video])

    alone = [seen(shift) for shift in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for together, expected in zip(pool.map(seen, range(4)), alone, strict=True):
                np.testing.assert_array_equal(together, expected)


def test_nothing_heavy_is_imported_before_a_detector_is_loaded() -> None:
    code = "import sys, latentsync.face.mesh_tracker; print('openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["haar", "no.such.module:load", "math:no_such_loader"])
def test_an_unknown_detector_is_refused_with_the_known_ones_named(name) -> None:
    with pytest.raises(UnknownPluginError, match="mediapipe, insightface"):
        load_detector(name)


class NoFaces:
    def __init__(self, max_faces: int, min_confidence: float) -> None:
        self.settings = (max_faces, min_confidence)

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        return []

    def reset(self) -> None: ...


def test_a_plug_in_detector_is_loaded_by_its_import_name() -> None:
    loaded = load_detector(f"{__name__}:NoFaces", max_faces=2, min_confidence=0.7)
    assert isinstance(loaded, FaceTracker) and loaded.settings == (2, 0.7)


class WholeHead:
    """A detector of boxes: it knows where the portrait's head is, if the frame is upright."""

    def __init__(self, max_faces: int, min_confidence: float) -> None: ...

    def __call__(self, pixels: np.ndarray) -> list[FaceBox]:
        upright = np.abs(pixels.astype(int) - PORTRAIT).mean() < 1
        eyes = np.array([(203, 101), (246, 103)])
        return [FaceBox(np.array([175, 65, 265, 180]), 0.8, eyes)] if upright else []


@pytest.mark.parametrize("quarters", range(4))
def test_a_plug_in_that_gives_boxes_gets_the_mesh_for_its_landmarks(quarters, expected) -> None:
    tracker = load_detector(f"{__name__}:WholeHead")
    (face,) = tracker(np.rot90(PORTRAIT, quarters))
    np.testing.assert_allclose(face.landmarks, turned(expected.landmarks, quarters), atol=0.7)
    assert face.confidence == 0.8


def test_the_outline_runs_around_the_landmarks(expected) -> None:
    assert expected.outline is not None and expected.outline.dtype == np.float32
    polygon = expected.outline[:, None]
    inside = [cv2.pointPolygonTest(polygon, tuple(map(float, p)), True) for p in expected.landmarks]
    assert min(inside) > -1.0  # the chin lies on it
    assert 0.8 < cv2.contourArea(polygon) / (expected.area) < 1


def test_min_confidence_holds_for_near_and_small_faces() -> None:
    small = room(720, 1280, (900, 300, 0.5))
    assert [len(load_detector("mediapipe", min_confidence=c)(small)) for c in (0.5, 0.99)] == [1, 0]
    assert load_detector("mediapipe", min_confidence=0.99)(PORTRAIT) == []


def test_noise_in_a_still_frame_moves_the_aligned_crop_by_less_than_a_tenth_of_a_pixel() -> None:
    """From frame to frame, after smoothing: r.m.s. of its corners, frame pixels."""
    random, tracker, points = np.random.default_rng(1), load_detector("mediapipe"), []
    for _ in range(30):
        noisy = PORTRAIT + random.normal(0, 2, PORTRAIT.shape)
        (face,) = tracker(noisy.clip(0, 255).astype(np.uint8))
        points.append(face.landmarks[CONTROL])
    seconds = np.arange(len(points)) / 25
    steady = steady_track(np.stack(points), seconds=seconds, smoothing_seconds=0.08)
    assert jitter(np.stack(points)) < 0.4 and jitter(steady) < 0.1


def jitter(control: np.ndarray) -> float:
    corners = np.array([[0, 0, 1], [420, 0, 1], [0, 560, 1], [420, 560, 1]])
    matrices = similarity(control, TEMPLATE)
    placed = [corners @ cv2.invertAffineTransform(matrix).T for matrix in matrices]
    return float(np.sqrt((np.diff(placed, axis=0) ** 2).sum(axis=-1).mean()))
