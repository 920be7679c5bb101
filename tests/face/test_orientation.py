"""Faces are found and followed whichever way up they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync.face.detector import FaceBox, load_detector
from latentsync.face.finding import LOST, TRIED_EVERY, TRIED_FRAMES, FirstFinds
from tests.support.portrait import PORTRAIT, point, talking, turned


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_video_that_lies_on_its_side_or_head_gives_what_the_upright_one_gives(quarters) -> None:
    upright, other = load_detector("mediapipe"), load_detector("mediapipe")
    for frame in talking(6):
        (face,), (same,) = upright(frame), other(np.rot90(frame, quarters))
        np.testing.assert_allclose(
            same.landmarks, turned(face.landmarks, quarters, frame.shape), atol=0.01
        )
        assert same.confidence == pytest.approx(face.confidence, abs=1e-4)
        np.testing.assert_allclose(
            same.outline, turned(face.outline, quarters, frame.shape), atol=0.01
        )


@pytest.mark.parametrize("degrees", [-60, -45, 45, 60])
def test_a_tilted_face_is_found_and_followed(degrees) -> None:
    upright, tilted = load_detector("mediapipe"), load_detector("mediapipe")
    for frame in talking(4):
        (face,) = upright(frame)
        matrix = cv2.getRotationMatrix2D((320, 240), degrees, 0.8)
        (found,) = tilted(cv2.warpAffine(frame, matrix, (640, 480)))
        expected = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
        assert np.linalg.norm(found.landmarks - expected, axis=1).mean() < 0.04 * 215


def test_a_face_that_turns_over_while_it_is_followed_is_not_lost() -> None:
    tracker = load_detector("mediapipe")
    for degrees in range(0, 181, 10):
        matrix = cv2.getRotationMatrix2D((223, 120), degrees, 1)
        pixels = cv2.warpAffine(PORTRAIT, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        (face,) = tracker(pixels)
    assert point(face, "chin")[1] < point(face, "nose_tip")[1]


def test_turned_frames_are_tried_in_few_frames_only() -> None:
    tried: list[int] = []

    def search(frame: np.ndarray, quarter: int) -> list[FaceBox]:
        tried.append(quarter)
        return []

    finds = FirstFinds([search], lambda frame, region: None)
    for _ in range(LOST):
        assert finds(PORTRAIT) == []
    assert tried.count(0) == LOST
    assert tried.count(1) == tried.count(2) == tried.count(3) <= TRIED_FRAMES + LOST / TRIED_EVERY


def test_a_new_shot_may_be_another_way_up() -> None:
    tracker = load_detector("mediapipe")
    for quarters in (2, 0, 1):
        tracker.reset()
        (face,) = tracker(np.rot90(PORTRAIT, quarters))
        mouth, brow = (turned(point(face, name)[None], -quarters % 4) for name in ("chin", "nose"))
        assert mouth[0, 1] > brow[0, 1]
