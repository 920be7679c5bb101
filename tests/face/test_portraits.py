"""Each face leaves a few small aligned portraits, spread over its time and few in number."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import FIVE, LANDMARKS
from latentsync.face.portraits import (
    KEPT,
    PORTRAIT_TEMPLATE,
    PortraitCollector,
    frontality,
    images_of,
    portrait,
)
from latentsync.face.tracks import link_faces
from tests.support.embeddings import portrait_of

PATTERN = np.random.default_rng(0).integers(0, 255, (12, 12, 3)).astype(np.uint8)
FRAME = np.kron(PATTERN, np.ones((40, 40, 1), np.uint8))


def face_at(x: float, y: float = 240.0, size: float = 120.0, turn: float = 0.0, aside: float = 0.0):
    """turn: of the head in the frame, in radians. aside: of the nose, in distances of the eyes."""
    five = (PORTRAIT_TEMPLATE - 56) / 112 * size
    five[2, 0] += aside * (five[1, 0] - five[0, 0])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    landmarks[FIVE] = five @ rotation.T + (x, y)
    half = size / 2
    return DetectedFace(landmarks, np.array([x - half, y - half, x + half, y + half]), 0.9)


def collected(frames, cuts=(), fps=25):
    """frames: the faces of each -> the portraits of each track, by id."""
    collector = PortraitCollector()
    begins = [n in cuts for n in range(len(frames))]
    seconds = np.arange(len(frames)) / fps
    for faces, cut, now in zip(frames, begins, seconds, strict=True):
        collector.add(FRAME, faces, now, cut=cut)
    tracks = link_faces(frames, begins, seconds=seconds, max_gap_seconds=0.2)
    return collector.by_track(tracks)


def test_eyes_nose_and_mouth_come_to_lie_on_the_template() -> None:
    for turn in (0.0, 0.5, np.pi / 2, np.pi):
        face = face_at(230, 250, turn=turn)
        frame = np.zeros((480, 480, 3), np.uint8)
        for n, (x, y) in enumerate(face.landmarks[FIVE].round().astype(int)):
            frame[y - 2 : y + 3, x - 2 : x + 3] = 50 * (n + 1)
        image = portrait(frame, face)
        assert image.shape == (112, 112, 3) and image.dtype == np.uint8
        shown = [int(image[round(y), round(x), 0]) for x, y in PORTRAIT_TEMPLATE]
        assert shown == pytest.approx([50, 100, 150, 200, 250], abs=12)


def test_the_template_is_the_one_of_opencvs_face_recogniser() -> None:
    """SFace was trained on faces aligned that way; cv2.FaceRecognizerSF aligns them so itself."""
    import cv2

    from tests.support.tiny_onnx import channel_means

    face = face_at(230, 250, turn=0.2)
    row = np.concatenate([[0, 0, 1, 1], face.landmarks[FIVE].ravel(), [1]]).astype(np.float32)
    smooth = cv2.GaussianBlur(FRAME, (0, 0), 9)
    theirs = cv2.FaceRecognizerSF.create(str(channel_means()), "").alignCrop(smooth, row[None])
    difference = portrait(smooth, face).astype(int) - theirs
    assert np.abs(difference[5:-5, 5:-5]).max() <= 3


def test_a_face_half_out_of_the_frame_has_a_portrait() -> None:
    assert portrait(FRAME, face_at(0, 0)).shape == (112, 112, 3)
    assert portrait(FRAME, face_at(-300, 240)).shape == (112, 112, 3)


def test_portraits_are_few_and_spread_over_the_time() -> None:
    ((track, made),) = collected([[face_at(200)]] * 1500).items()
    assert track == 0 and KEPT / 2 <= len(made) <= KEPT
    gaps = np.diff([0, *(one.seconds for one in made), 60])
    assert gaps.max() <= 2 * 60 / (KEPT / 2)


def test_a_short_shot_has_a_portrait_every_04_seconds() -> None:
    ((_, made),) = collected([[face_at(200)] for _ in range(30)]).items()
    np.testing.assert_allclose([one.seconds for one in made], [0, 0.4, 0.8])


def test_no_more_portraits_are_made_than_that(monkeypatch) -> None:
    made: list[float] = []

    def count(pixels, face, seconds):
        made.append(seconds)
        return portrait_of(1, seconds)

    monkeypatch.setattr("latentsync.face.portraits._portrait_of", count)
    collected([[face_at(200)] for _ in range(30)])
    np.testing.assert_allclose(made, [0, 0.4, 0.8])


def test_a_short_shot_after_a_long_one_has_as_many_as_alone() -> None:
    frames = [[face_at(200)] for _ in range(1530)]
    made = collected(frames, cuts=(1500,))[1]
    np.testing.assert_allclose([one.seconds for one in made], [60, 60.4, 60.8])


def test_a_large_face_is_scaled_down_without_a_shift() -> None:
    ramp = np.tile(np.arange(480.0)[None, :, None] * 255 / 479, (480, 1, 3)).round()
    face = face_at(230, 250, size=336)
    x = face.landmarks[FIVE][:, 0].mean() + (np.arange(112) - PORTRAIT_TEMPLATE[:, 0].mean()) * 3
    shown = portrait(ramp.astype(np.uint8), face)[:, :, 0].mean(axis=0)
    assert abs((shown - x * 255 / 479)[10:-10].mean()) < 0.15


def test_each_shot_and_each_face_has_its_own() -> None:
    frames = [[face_at(120), face_at(350)] for _ in range(40)]
    assert {track: len(made) for track, made in collected(frames, cuts=(20,)).items()} == {
        **dict.fromkeys(range(4), 2)
    }


def test_frontal_faces_are_preferred() -> None:
    frames = [[face_at(200, aside=0.0 if n // 10 % 4 == 3 else 0.45)] for n in range(400)]
    ((_, made),) = collected(frames).items()
    assert len(made) >= KEPT / 2
    assert all(round(one.seconds * 25) // 10 % 4 == 3 for one in made)


def test_frontality_falls_from_one_to_zero_however_the_head_is_tilted() -> None:
    for turn in (0.0, 1.0, np.pi):
        values = [frontality(face_at(200, turn=turn, aside=a).landmarks) for a in (0, 0.3, 0.9)]
        assert values[0] > 0.97 and 0.4 < values[1] < 0.6 and values[2] == 0
    assert frontality(np.zeros((len(LANDMARKS), 2), np.float32)) == 1.0


def test_faces_that_overlap_leave_no_portraits_until_they_part() -> None:
    frames = [[face_at(120.0 + n), face_at(320.0 - n)] for n in range(200)]
    by_track = collected(frames)
    for made in by_track.values():
        times = np.array([one.seconds for one in made])
        apart = np.abs(200 - 2 * 25 * times)
        assert (apart >= 119).all()
        assert (times < 2).sum() >= 4 and (times > 6).sum() >= 4


def test_after_a_quick_exchange_of_places_each_face_has_portraits_of_its_own() -> None:
    left, right = [120.0] * 50, [320.0] * 50
    across = list(np.linspace(120, 320, 12))
    ways = left + across + right, right + across[::-1] + left
    frames = [[face_at(one), face_at(other)] for one, other in zip(*ways, strict=True)]
    for made in collected(frames).values():
        times = np.array([one.seconds for one in made])
        assert (times < 2).sum() >= 4 and (times > 2.4).sum() >= 4


def test_portraits_of_a_track_that_was_filled_in_are_its_own() -> None:
    frames = [[face_at(200)] if n % 7 else [] for n in range(60)]
    assert list(collected(frames)) == [0]


def test_of_many_portraits_the_best_of_equal_parts_are_compared() -> None:
    many = [portrait_of(n % 3, n / 10, quality=float(n % 3 == 2)) for n in range(96)]
    images = images_of(many)
    assert images.shape == (32, 112, 112, 3) and (images == 60).all()
    assert images_of([]).shape == (0, 112, 112, 3)
