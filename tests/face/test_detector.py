"""Faces are detected, tracked and placed correctly, by the real networks on a real portrait."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from latentsync.errors import UnknownPluginError
from latentsync.face.detector import DetectedFace, FaceTracker, load_detector
from latentsync.face.landmarks import LANDMARKS

PORTRAIT = data.astronaut()
HEAD = np.s_[0:300, 90:390]
"""The part of the portrait that holds the head."""


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


def room(height: int, width: int, *heads: tuple[int, int, float]) -> np.ndarray:
    """A grey image with heads (x, y, scale) in it."""
    pixels = np.full((height, width, 3), 120, np.uint8)
    for x, y, scale in heads:
        flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        head = cv2.resize(PORTRAIT[HEAD], None, fx=scale, fy=scale, interpolation=flags)
        pixels[y : y + len(head), x : x + len(head)] = head
    return pixels


def point(face: DetectedFace, name: str) -> np.ndarray:
    return face.landmarks[LANDMARKS.index(name)]


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


def test_the_detector_of_small_faces_is_created_on_first_use() -> None:
    created = load_detector("mediapipe")
    created(PORTRAIT)
    assert not {"_full_range", "_zoomed"} & set(vars(created))
    created.reset()
    assert len(created(room(720, 1280, (900, 300, 0.5)))) == 1
    assert {"_full_range", "_zoomed"} <= set(vars(created))


IN_TWO_THREADS = """
import os, sys, threading, warnings
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from skimage import data
from latentsync.face.detector import load_detector

warnings.simplefilter("ignore")
TIMES, PORTRAIT = 20, data.astronaut()

def landmarks(shift):
    detector = load_detector("mediapipe", max_faces=2, min_confidence=0.5)
    seen = []
    for at in (shift, shift + 6):
        seen += [face.landmarks for face in detector(np.roll(PORTRAIT, at, axis=1))]
        detector.reset()
    return np.stack(seen)

def process():
    status = os.fstat(2)
    return status.st_dev, status.st_ino, dict(os.environ), list(warnings.filters)

expected = [landmarks(shift) for shift in (0, 9)]
before, barrier = process(), threading.Barrier(2)

def at_once(shift):
    made = []
    for _ in range(TIMES):
        barrier.wait(60)
        made.append(landmarks(shift))
    return made

with ThreadPoolExecutor(2) as pool:
    for made, alone in zip(pool.map(at_once, (0, 9)), expected):
        assert all(np.array_equal(one, alone) for one in made), "others than one after the other"
assert process() == before, "the process was changed"
os.write(2, b"stderr is alive\\n")
"""


def test_detectors_in_two_threads_see_the_same_as_alone_and_leave_the_process_as_it_is() -> None:
    command = [sys.executable, "-c", IN_TWO_THREADS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("stderr is alive\n")


def test_loading_a_detector_puts_nothing_in_the_place_of_a_module() -> None:
    code = (
        "import sys; from latentsync.face.detector import load_detector\n"
        "load_detector('mediapipe')\n"
        "import matplotlib.pyplot as real, matplotlib\n"
        "print(type(real) is type(sys), matplotlib.__file__ is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_nothing_heavy_is_imported_before_a_detector_is_loaded() -> None:
    code = "import sys, latentsync.face.mediapipe_detector; print('mediapipe' in sys.modules)"
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
