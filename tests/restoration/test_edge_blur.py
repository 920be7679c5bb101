"""The width of edges is read from a frame, whatever their contrast and wherever they lie."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latentsync.face.landmarks import CONTROL, FIVE, LANDMARKS, MOUTH
from latentsync.geometry import TEMPLATE, similarity
from latentsync.restoration.edge_blur import FIGURES, FacePlace, edge_figures, measured_scale

FINE = 8  # a drawn face is drawn that many times as large, so that its edges lie anywhere
UPRIGHT = np.zeros((len(LANDMARKS), 2))
UPRIGHT[CONTROL] = TEMPLATE
UPRIGHT[FIVE] = [[108, 152], [312, 152], [210, 224], [132, 352], [288, 352]]
UPRIGHT[MOUTH] = [[132, 352], [288, 352], [210, 348], [210, 356]]
"""Where a face has its points, pixels of the aligned crop."""


def placed(scale: float, angle: float = 0.0) -> np.ndarray:
    """(2, 3), aligned crop -> frame."""
    turn = cv2.getRotationMatrix2D((210, 280), angle, scale)
    corners = np.array([[0, 0, 1], [420, 0, 1], [0, 560, 1], [420, 560, 1]]) @ turn.T
    turn[:, 2] += 20 - corners.min(axis=0)
    return turn


def face(
    lips: float, eyes: float, *, scale: float = 0.6, angle: float = 0.0, contrast: float = 60.0
) -> tuple[np.ndarray, FacePlace]:
    """A face of flat ovals. lips, eyes: blur of their edges, sigma in frame pixels."""
    to_frame = placed(scale, angle)
    corners = np.array([[0, 0, 1], [420, 0, 1], [0, 560, 1], [420, 560, 1]]) @ to_frame.T
    width, height = (np.ceil(corners.max(axis=0)) + 20).astype(int)
    planes = []
    for sigma, ovals in (
        (lips, [((210, 352), (90, 30))]),
        (eyes, [((108, 152), (50, 20)), ((312, 152), (50, 20))]),
    ):
        plane = np.zeros((height * FINE, width * FINE), np.float32)
        for center, axes in ovals:
            x, y = to_frame @ [*center, 1]
            at = int((x + 0.5) * FINE), int((y + 0.5) * FINE)
            size = tuple(int(side * scale * FINE) for side in axes)
            cv2.ellipse(plane, at, size, -angle, 0, 360, 1.0, -1)
        small = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
        planes.append(cv2.GaussianBlur(small, (0, 0), sigma))
    luma = 150 - contrast * np.maximum(*planes)
    pixels = np.repeat(np.rint(luma).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    landmarks = UPRIGHT @ to_frame[:, :2].T + to_frame[:, 2]
    matrix = similarity(landmarks[CONTROL], TEMPLATE)
    return pixels, FacePlace(matrix, landmarks[FIVE][:2], landmarks[MOUTH])


def figure(name: str, pixels: np.ndarray, place: FacePlace) -> float:
    return float(edge_figures(pixels, place)[FIGURES.index(name)])


def sigma_of(name: str, pixels: np.ndarray, place: FacePlace) -> float:
    """Of lips or eyes, pixels."""
    return figure(name, pixels, place) ** 0.5


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.5, 2.0, 3.0])
def test_the_sigma_of_a_blurred_edge_is_found(sigma: float) -> None:
    """To within an eighth: of an area-sampled edge the pixel itself is part of the blur."""
    drawn = face(sigma, 1.0)
    assert sigma_of("lips", *drawn) == pytest.approx(np.hypot(sigma, 1 / 12**0.5), rel=0.125)


def test_lips_and_eyes_are_measured_apart() -> None:
    drawn = face(2.4, 0.9)
    assert sigma_of("lips", *drawn) == pytest.approx(2.4, rel=0.15)
    assert sigma_of("eyes", *drawn) == pytest.approx(0.95, rel=0.15)


@pytest.mark.parametrize("contrast", [20.0, 40.0, 100.0])
def test_the_contrast_of_an_edge_does_not_count(contrast: float) -> None:
    assert sigma_of("lips", *face(1.5, 1.0, contrast=contrast)) == pytest.approx(1.52, rel=0.15)


@pytest.mark.parametrize("angle", [-30.0, 12.0, 75.0])
def test_a_head_may_be_turned(angle: float) -> None:
    turned = sigma_of("lips", *face(1.6, 1.0, angle=angle))
    assert turned == pytest.approx(sigma_of("lips", *face(1.6, 1.0)), rel=0.06)


@pytest.mark.parametrize("scale", [0.35, 0.8, 1.0])
def test_a_blur_in_frame_pixels_is_the_same_on_a_face_of_another_size(scale: float) -> None:
    assert sigma_of("lips", *face(1.6, 1.0, scale=scale)) == pytest.approx(1.6, rel=0.1)


@pytest.mark.parametrize("scale", [1.5, 2.2])
def test_a_large_face_is_measured_at_the_scale_of_the_aligned_crop(scale: float) -> None:
    pixels, place = face(1.6 * scale, scale, scale=scale)
    assert measured_scale(place.matrix) == pytest.approx(scale, rel=1e-3)
    assert sigma_of("lips", pixels, place) == pytest.approx(1.6, rel=0.1)


def test_a_small_face_is_measured_at_the_frame_s_own_scale() -> None:
    assert measured_scale(face(1, 1, scale=0.4)[1].matrix) == 1.0


def test_a_sharpened_edge_is_narrower_than_nothing() -> None:
    """An overshoot is no blur, and less than none: it must not count as some."""
    pixels, place = face(0.5, 1.0, contrast=20)
    soft = cv2.GaussianBlur(pixels, (0, 0), 0.7)
    sharpened = cv2.addWeighted(pixels, 4.0, soft, -3.0, 0)
    assert figure("lips", sharpened, place) < 0


def test_a_face_without_edges_gives_no_sigma() -> None:
    _, place = face(1.5, 1.0)
    flat = np.full((400, 320, 3), 128, np.uint8)
    assert np.isnan(figure("lips", flat, place)) and np.isnan(figure("eyes", flat, place))


def test_a_mouth_outside_of_the_frame_is_not_measured() -> None:
    pixels, place = face(1.5, 1.0)
    above = pixels[: int(place.mouth[:, 1].min()) - 60]
    assert np.isnan(figure("lips", above, place))
    assert sigma_of("eyes", above, place) == pytest.approx(1.05, rel=0.15)
